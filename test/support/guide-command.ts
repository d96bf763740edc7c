import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { commandsOf, root } from './guide-examples.js'

/** Starts a program with the guide's command `npx deadpeer … app.js` of a section. `change` may replace each word of it. */
export function startByGuide(
  heading: string,
  file: string,
  change: (word: string) => string = (word) => word,
): ChildProcessWithoutNullStreams {
  const [command] = commandsOf(heading)
  const [npx, name, ...words] = command!.split(' ').map((word) => word.replaceAll("'", ''))
  if (npx !== 'npx' || name !== 'deadpeer') throw new Error(`This does not start deadpeer: ${command}`)
  const args = words.map((word) => {
    if (word === 'app.js') return file
    return word === 'node' ? process.execPath : change(word)
  })
  return spawn(process.execPath, [`${root}/dist/cli/main.js`, ...args], {
    cwd: root,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

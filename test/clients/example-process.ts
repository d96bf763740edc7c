import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { until } from '../loopback/until.js'
import { commandsOf, examplesOf } from './guide.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = `${root}/test/clients/.examples/${process.pid}-process`

let started = 0

interface Start {
  readonly heading: string
  /** The server's port in the guide's command, and the one to put in its place. */
  readonly ports?: readonly [number, number]
  readonly env: Record<string, string>
  /** What makes another program of the example. */
  readonly edit?: (text: string) => string
  /** What is added below the example. `say(text)` sends text to the test; `answer(line)` is called with each line from it. */
  readonly added: string
}

/** A program of its own: an example of the guide, started with the command of the guide. */
export interface ExampleProcess {
  readonly pid: number
  /** When the program said this, for the nth time. */
  said(text: string, times?: number): Promise<number>
  send(line: string): void
  stop(): void
}

const SAY = `
const say = (text) => console.log('# ' + text)
process.stdin.setEncoding('utf8').on('data', (lines) => {
  for (const line of lines.split('\\n')) if (line) answer(line)
})
`

export function startExample({ heading, ports, env, edit = (text) => text, added }: Start): ExampleProcess {
  mkdirSync(folder, { recursive: true })
  const file = `${folder}/${started++}.mjs`
  writeFileSync(file, `${edit(examplesOf(heading)[0]!)}${SAY}${added}\n`)
  let [command] = commandsOf(heading)
  if (ports) command = command!.replace(`'${ports[0]}=`, `'${ports[1]}=`)
  // As npx would find it, and without quotes that only a shell takes away: these arguments do not go through one.
  const [npx, name, ...words] = command!.split(' ').map((word) => word.replaceAll("'", ''))
  if (npx !== 'npx' || name !== 'deadpeer') throw new Error(`this is not how deadpeer is started: ${command}`)
  const args = words.map((word) => (word === 'app.js' ? file : word))
  const child: ChildProcess = spawn(process.execPath, [`${root}/dist/cli/main.js`, ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let complaints = ''
  child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
    complaints += chunk
  })
  const heard: { text: string; at: number }[] = []
  let rest = ''
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = `${rest}${chunk}`.split('\n')
    rest = lines.pop()!
    for (const line of lines)
      if (line.startsWith('# ')) heard.push({ text: line.slice(2), at: performance.now() })
  })

  return {
    pid: child.pid!,
    async said(text, times = 1) {
      const all = () => heard.filter((each) => each.text === text)
      await until(() => {
        if (child.exitCode !== null)
          throw new Error(`the example ended with ${child.exitCode}: ${complaints}`)
        return all().length >= times
      }, 20_000)
      return all()[times - 1]!.at
    },
    send(line) {
      child.stdin!.write(`${line}\n`)
    },
    stop() {
      child.kill('SIGKILL')
      rmSync(file, { force: true })
    },
  }
}

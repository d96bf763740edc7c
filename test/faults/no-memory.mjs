// Every verb, with no memory for the addon each time in turn that it takes some. Run by run.mjs, with the shim.
//
// What grows with the host's sockets is taken by malloc() and realloc(), and their failure is an error. Small objects are made by operator
// new: without memory for them the process ends (SIGABRT), as it does where Node itself has none.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Outcomes } from './attempt.mjs'
import { disarm } from './fault.mjs'
import { chosenVerbs, finish, problem } from './report.mjs'

const script = fileURLToPath(new URL('no-memory-once.mjs', import.meta.url))
const MOST_TIMES = 100

let runs = 0
for (const [name] of chosenVerbs()) {
  const outcomes = new Outcomes()
  let time = 1
  for (; time <= MOST_TIMES; time++) {
    const { outcome, failed } = once(name, time)
    if (failed === undefined) break
    runs++
    outcomes.add(`${failed}: ${outcome}`)
  }
  if (time > MOST_TIMES) problem(`${name} takes memory more than ${MOST_TIMES} times`)
  console.log(`${name}: ${time - 1} times; ${outcomes}`)
}
finish(runs)

/** In a process of its own. */
function once(name, time) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [script, name, String(time)], {
    encoding: 'utf8',
    timeout: 30_000,
  })
  const { failed } = disarm()
  const which = `${name}, memory for the ${time}th time (${failed})`
  if (signal === 'SIGABRT' && failed === 'operator new') return { failed, outcome: 'the process ends' }
  if (status !== 0) {
    problem(`${which}: ended with ${signal ?? status}: ${stderr}`)
    return { failed, outcome: 'crash' }
  }
  const { outcome, problems } = JSON.parse(stdout)
  for (const each of problems) problem(`${which}: ${each}`)
  return { failed, outcome }
}

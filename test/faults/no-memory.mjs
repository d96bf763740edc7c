// Runs every verb with each of the addon's allocations failing in turn. run.mjs starts this with the shim.
//
// Memory that grows with the host's sockets comes from malloc() and realloc(), and a failure there is an error. Small objects come from operator new:
// if that fails, the process ends (SIGABRT), as in Node itself.
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
  if (time > MOST_TIMES) problem(`${name} allocates more than ${MOST_TIMES} times`)
  console.log(`${name}: ${time - 1} allocations; ${outcomes}`)
}
finish(runs)

/** In a separate process. */
function once(name, time) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [script, name, String(time)], {
    encoding: 'utf8',
    timeout: 30_000,
  })
  const { failed } = disarm()
  const which = `${name}, allocation ${time} (${failed})`
  if (signal === 'SIGABRT' && failed === 'operator new') return { failed, outcome: 'the process ends' }
  if (status !== 0) {
    problem(`${which}: ended with ${signal ?? status}: ${stderr}`)
    return { failed, outcome: 'crash' }
  }
  const { outcome, problems } = JSON.parse(stdout)
  for (const each of problems) problem(`${which}: ${each}`)
  return { failed, outcome }
}

// Runs every verb with each of its system calls failing in turn, with each errno. run.mjs starts this with the shim.
import { constants } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { attempt, Outcomes } from './attempt.mjs'
import { openConnections } from './connections.mjs'
import { disarm, failCall } from './fault.mjs'
import { chosenVerbs, finish, problem } from './report.mjs'

const errnos = ['EINTR', 'ENOMEM', 'EMFILE', 'ENOBUFS', 'EBADF']
/** More than any verb makes. */
const MOST_CALLS = 100

let runs = 0
for (const [name, verb] of chosenVerbs()) {
  const outcomes = new Outcomes()
  let calls = 0
  for (const errno of errnos) calls = Math.max(calls, await everyCallOf(name, verb, errno, outcomes))
  console.log(`${name}: ${calls} calls; ${outcomes}`)
}
finish(runs)

/** Returns how many calls there were until no call failed any more. */
async function everyCallOf(name, verb, errno, outcomes) {
  const { pairs, close } = await openConnections(MOST_CALLS)
  if (verb.takesSilence) await sleep(1_100)
  const [first, ...others] = pairs
  const without = await attempt(verb, first, faultAt(0, errno))
  if (without.error) problem(`${name}, without a fault: ${without.error.stack}`)
  let last
  for (const [i, pair] of others.entries()) {
    const found = await attempt(verb, pair, faultAt(i + 1, errno), without.result)
    last = found
    if (found.failed === undefined && found.problems.length === 0) break
    runs++
    outcomes.add(found.outcome)
    for (const each of found.problems) problem(`${name}, call ${i + 1} (${found.failed}) ${errno}: ${each}`)
  }
  if (last.failed !== undefined) problem(`${name} makes more than ${MOST_CALLS} calls`)
  close()
  await sleep(20)
  return last.calls
}

function faultAt(call, errno) {
  return { errno, begin: () => failCall(call, constants.errno[errno]), end: disarm }
}

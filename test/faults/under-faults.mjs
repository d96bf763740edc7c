// Run by run.mjs with the shim preloaded: every verb, with every one of its system calls failing in turn, with each errno.
import { constants } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from '../../dist/index.js'
import { descriptors, openConnections, until } from './connections.mjs'
import { arm, disarm } from './fault.mjs'
import { verbs } from './verbs.mjs'

const errnos = ['EINTR', 'ENOMEM', 'EMFILE', 'ENOBUFS', 'EBADF']
/** A verb that has not ended by then is stuck. */
const PATIENCE = 5_000
/** More calls than any verb makes; a question's last are looks of which there may be more on a busy machine. */
const MOST_CALLS = 80

const STUCK = Symbol()

const chosen = process.argv.slice(2)
const broken = []
process.on('warning', () => {})
process.on('uncaughtException', (error) => broken.push(`uncaught: ${error.stack}`))
process.on('unhandledRejection', (error) => broken.push(`unhandled: ${error?.stack ?? error}`))

let runs = 0
for (const [name, verb] of Object.entries(verbs)) {
  if (chosen.length > 0 && !chosen.some((part) => name.includes(part))) continue
  const outcomes = new Map()
  let calls = 0
  for (const errno of errnos) {
    calls = Math.max(calls, await everyCallOf(name, verb, errno, outcomes))
  }
  const words = [...outcomes].map(([outcome, count]) => `${outcome} ${count}`).join(', ')
  console.log(`${name}: ${calls} calls; ${words}`)
}
for (const each of broken) console.log(`not ok ${each}`)
console.log(`${runs - broken.length} passed, ${broken.length} failed`)
process.exit(broken.length > 0 ? 1 : 0)

/** Returns how many calls there were until none failed any more. */
async function everyCallOf(name, verb, errno, outcomes) {
  const { pairs, close } = await openConnections(MOST_CALLS)
  // A question to a peer that was heard within a second is answered without asking.
  await sleep(1_100)
  const [first, ...others] = pairs
  const without = await once(verb, first, 0, errno)
  if (without.error) broken.push(`${name}, without a fault: ${without.error.stack}`)
  let last = 0
  for (const [i, pair] of others.entries()) {
    const found = await once(verb, pair, i + 1, errno, without.result)
    last = found.calls
    if (found.failed === undefined && found.problems.length === 0) break
    runs++
    outcomes.set(found.outcome, (outcomes.get(found.outcome) ?? 0) + 1)
    for (const problem of found.problems)
      broken.push(`${name}, call ${i + 1} (${found.failed}) ${errno}: ${problem}`)
  }
  close()
  await sleep(20)
  return last
}

async function once(verb, pair, call, errno, without) {
  const problems = []
  const before = inspect(pair.socket).profile
  const prepared = await verb.prepare?.(pair)
  const open = descriptors()
  let result
  let error
  arm(call, constants.errno[errno])
  const started = performance.now()
  try {
    const end = Promise.resolve(verb.run(pair, prepared))
    result = await Promise.race([end, sleep(PATIENCE, STUCK, { ref: false })])
    if (result === STUCK) problems.push('stuck')
  } catch (thrown) {
    error = thrown
  }
  const { calls, failed } = disarm()
  const lasted = performance.now() - started
  if (error && typeof error.code !== 'string') problems.push(`an error without a code: ${error.stack}`)
  const lack = error || call === 0 ? undefined : verb.degraded?.(result, without)
  if (lasted > PATIENCE) problems.push(`took ${Math.round(lasted)} ms`)
  try {
    await verb.after?.(pair, before, error, prepared, errno, result)
  } catch (problem) {
    problems.push(`${problem.message} (after ${error ? error.message : (lack ?? 'no error')})`)
  }
  // The connection itself may be gone by now: none but its own two.
  if (!(await until(() => descriptors() <= open, 1_000)))
    problems.push(`descriptors: ${open} before, ${descriptors()} after`)
  return {
    calls,
    failed,
    problems,
    result,
    error,
    outcome: error ? error.code : (lack ?? 'done all the same'),
  }
}

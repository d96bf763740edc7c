import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from '../../dist/index.js'
import { descriptors, until } from './connections.mjs'

/** A verb that has not ended after this time hangs: none takes longer than a few seconds. ms. */
const PATIENCE = 15_000
const STUCK = Symbol()

/**
 * Runs a verb under a fault, and checks its promises: it ends in time, with a typed error or with everything done that its result says, and leaves
 * nothing open.
 *
 * @param fault `begin` starts it, `end` ends it; `errno` is its name.
 * @param without the outcome of the same verb without a fault, to find what is missing.
 */
export async function attempt(verb, pair, fault, without) {
  const problems = []
  const before = inspect(pair.socket).profile
  const prepared = await verb.prepare?.(pair)
  const open = descriptors()
  let result
  let error
  await fault.begin()
  const started = performance.now()
  try {
    const end = Promise.resolve(verb.run(pair, prepared))
    result = await Promise.race([end, sleep(PATIENCE, STUCK, { ref: false })])
    if (result === STUCK) problems.push('hangs')
  } catch (thrown) {
    error = thrown
  }
  const lasted = performance.now() - started
  const { calls, failed } = await fault.end()
  if (error && typeof error.code !== 'string') problems.push(`an error without a code: ${error.stack}`)
  if (lasted > PATIENCE) problems.push(`took ${Math.round(lasted)} ms`)
  const lack = error || without === undefined ? undefined : verb.degraded?.(result, without)
  try {
    await verb.after?.(pair, before, error, prepared, fault.errno, result)
  } catch (problem) {
    problems.push(`${problem.message} (after ${error ? error.message : (lack ?? 'no error')})`)
  }
  // The connection itself may be gone by now. The deathwatch stays open for a second after the last connection.
  if (!(await until(() => descriptors() <= open, 3_000)))
    problems.push(`descriptors: ${open} before, ${descriptors()} after`)
  return {
    calls,
    failed,
    problems,
    result,
    error,
    outcome: error ? error.code : (lack ?? 'done anyway'),
  }
}

/** How often each outcome occurred. */
export class Outcomes {
  #counts = new Map()

  add(outcome) {
    this.#counts.set(outcome, (this.#counts.get(outcome) ?? 0) + 1)
  }

  toString() {
    return [...this.#counts].map(([outcome, count]) => `${outcome} ${count}`).join(', ')
  }
}

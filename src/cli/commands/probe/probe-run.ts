import { setImmediate as nextTurn } from 'node:timers/promises'
import { DeadpeerError, inspect, type ProbeOptions, type ProbeResult, probe } from '../../../index.js'
import { wholeSeconds } from '../../../overlay/clock.js'
import { inWords } from '../../../path/in-words.js'
import { isUnproven } from '../../../probe/result.js'
import { timeLeft } from '../../../profile/time-left.js'
import { type Progress, withProgress } from '../../lib/progress.js'
import type { Reached } from '../../lib/selection.js'
import { complain } from '../../lib/terminal.js'

export interface ProbeParameters {
  readonly attempts: number
  readonly timeout: number
  /** Whether silence counts on a connection that has never answered. */
  readonly unproven?: boolean
}

/** The result for one connection, or the reason why there is none. */
export type Outcome = ProbeResult | DeadpeerError

/** The kernel's timers are late by an eighth at most. */
const LATE = 1.125

/**
 * Probes connections of other processes. All outcomes are known within seconds. The options of connections with unresponsive peers are still raised then: while
 * the kernel counts our probes with its own, the connection would otherwise end sooner.
 */
export class ProbeRun {
  /** The outcomes in order, once all are known. */
  readonly outcomes: Promise<readonly Outcome[]>

  readonly #outcomes: Outcome[] = []
  /** Connections whose options may still be raised. */
  readonly #raised = new Set<Reached>()
  readonly #allRestored: Promise<unknown>
  readonly #giveUp = new AbortController()
  readonly #startedAt = performance.now()

  constructor(
    reached: readonly Reached[],
    { attempts, timeout, unproven = false }: ProbeParameters,
    interrupted: AbortSignal,
    progress: Progress,
  ) {
    const options: ProbeOptions = {
      attempts,
      timeout,
      signal: AbortSignal.any([interrupted, this.#giveUp.signal]),
      ...(unproven && { unproven: 'dead' }),
    }
    let unknown = reached.length
    progress.say('probing', 0, unknown)
    let resolveAll = () => {}
    this.outcomes = new Promise((resolve) => {
      resolveAll = () => resolve([...this.#outcomes])
    })
    const note = (i: number, outcome: Outcome) => {
      if (this.#outcomes[i] === undefined) unknown--
      this.#outcomes[i] = outcome
      progress.say('probing', reached.length - unknown, reached.length)
      if (unknown === 0) resolveAll()
    }
    const probes = reached.map(async (each, i) => {
      this.#raised.add(each)
      try {
        await probe(each.socket, { ...options, onAnswer: (result) => note(i, result) })
      } catch (error) {
        if (!(error instanceof DeadpeerError)) throw error
        note(i, error)
      } finally {
        this.#raised.delete(each)
      }
    })
    this.#allRestored = Promise.all(probes)
  }

  /** Waits until all connections have their own options back, for at most `longest` ms, and reports that. */
  async restoreOptions(longest: number): Promise<void> {
    // After this turn of the event loop, connections whose peer has responded have their options back.
    await nextTurn()
    const waiting = this.#raised.size
    if (waiting === 0) return
    if (longest > 0) {
      complain(
        `${doNotRespond(waiting)}. Options stay raised until the peer responds or the connection ends by its own timers. Waiting ` +
          `${inWords(wholeSeconds(Math.min(longest, this.#longestLeft())))} at most. Ctrl-C restores the options now; ${price}`,
      )
    }
    const silent = this.#outcomes.filter(isSilent).length
    let cutShort = 0
    const timer = setTimeout(() => {
      cutShort = this.#raised.size
      this.#giveUp.abort()
    }, longest)
    await withProgress(
      `waiting for ${waiting === 1 ? '1 connection' : `${waiting} connections`}`,
      () => this.#allRestored,
    )
    clearTimeout(timer)
    const heard = silent - this.#outcomes.filter(isSilent).length
    if (heard > 0) complain(`${heard} responded after all`)
    if (cutShort > 0) {
      complain(
        `${doNotRespond(cutShort)}, and ${cutShort === 1 ? 'its' : 'their'} options were restored; ${price}`,
      )
    }
  }

  /** The ms until the last of them ends if no peer responds. */
  #longestLeft(): number {
    const passed = performance.now() - this.#startedAt
    return [...this.#raised].reduce(
      (most, each) => Math.max(most, (timeLeftBefore(each) ?? Number.POSITIVE_INFINITY) * LATE - passed),
      0,
    )
  }
}

const price = 'a connection may end sooner then, by one interval for each unacknowledged probe'

/** The ms that the connection had left before the probe, by its own options. */
function timeLeftBefore({ connection: { record }, socket }: Reached): number | undefined {
  try {
    const { profile, defaults } = inspect(socket)
    return record.info && timeLeft(record.info, profile, record, defaults)?.ms
  } catch (error) {
    if (error instanceof DeadpeerError) return 0
    throw error
  }
}

function isSilent(outcome: Outcome): boolean {
  return 'alive' in outcome && (outcome.alive === false || isUnproven(outcome))
}

function doNotRespond(count: number): string {
  return count === 1 ? '1 peer does not respond' : `${count} peers do not respond`
}

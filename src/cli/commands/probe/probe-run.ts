import { setImmediate as nextTurn } from 'node:timers/promises'
import { DeadpeerError, inspect, type ProbeResult, probe } from '../../../index.js'
import { wholeSeconds } from '../../../overlay/guard.js'
import { inWords } from '../../../path/in-words.js'
import { timeLeft } from '../../../profile/time-left.js'
import { type Progress, withProgress } from '../../lib/progress.js'
import type { Reached } from '../../lib/selection.js'
import { complain } from '../../lib/terminal.js'

export interface Question {
  readonly attempts: number
  readonly timeout: number
}

/** What a connection has come to: an answer, or why there is none. */
export type Outcome = ProbeResult | DeadpeerError

/** The kernel's timers are late by so much of their time at the most. */
const LATE = 1.125

/**
 * A question to connections of other processes. What each peer says is known within seconds. Of one that says nothing the options are still
 * raised then: as long as the kernel counts our probes with its own, the connection needs that not to end sooner.
 */
export class Asking {
  /** In order, once all are known. */
  readonly outcomes: Promise<readonly Outcome[]>

  readonly #outcomes: Outcome[] = []
  /** Those whose options may not be their own. */
  readonly #raised = new Set<Reached>()
  readonly #allBack: Promise<unknown>
  readonly #enough = new AbortController()
  readonly #startedAt = performance.now()

  constructor(
    reached: readonly Reached[],
    { attempts, timeout }: Question,
    interrupted: AbortSignal,
    progress: Progress,
  ) {
    const options = { attempts, timeout, signal: AbortSignal.any([interrupted, this.#enough.signal]) }
    let unknown = reached.length
    progress.say('asking', 0, unknown)
    let tellAll = () => {}
    this.outcomes = new Promise((resolve) => {
      tellAll = () => resolve([...this.#outcomes])
    })
    const note = (i: number, outcome: Outcome) => {
      if (this.#outcomes[i] === undefined) unknown--
      this.#outcomes[i] = outcome
      progress.say('asking', reached.length - unknown, reached.length)
      if (unknown === 0) tellAll()
    }
    const backs = reached.map(async (each, i) => {
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
    this.#allBack = Promise.all(backs)
  }

  /** Waits until all connections have their own options back, for `longest` ms at the most, and says so. */
  async giveBack(longest: number): Promise<void> {
    // What was answered has its options back when this turn of the event loop is over.
    await nextTurn()
    const waiting = this.#raised.size
    if (waiting === 0) return
    if (longest > 0) {
      complain(
        `${doNotAnswer(waiting)}, and options stay raised until the peer does or the connection's own clock ends it: waiting, ` +
          `${inWords(wholeSeconds(Math.min(longest, this.#longestLeft())))} at the most. Ctrl-C puts them back now; ${price}`,
      )
    }
    const silent = this.#outcomes.filter(isSilent).length
    let cutShort = 0
    const timer = setTimeout(() => {
      cutShort = this.#raised.size
      this.#enough.abort()
    }, longest)
    await withProgress(
      `waiting for ${waiting === 1 ? '1 connection' : `${waiting} connections`}`,
      () => this.#allBack,
    )
    clearTimeout(timer)
    const heard = silent - this.#outcomes.filter(isSilent).length
    if (heard > 0) complain(`${heard} answered after all`)
    if (cutShort > 0) {
      complain(
        `${doNotAnswer(cutShort)}, and ${cutShort === 1 ? 'its' : 'their'} options were put back; ${price}`,
      )
    }
  }

  /** Until the last of them has ended, if none is heard; ms. */
  #longestLeft(): number {
    const passed = performance.now() - this.#startedAt
    return [...this.#raised].reduce(
      (most, each) => Math.max(most, (leftAtFirst(each) ?? Number.POSITIVE_INFINITY) * LATE - passed),
      0,
    )
  }
}

const price =
  'probes that went unanswered count then, and a connection may end sooner, by an interval for each'

/** By its own options, as it was before the question. */
function leftAtFirst({ connection: { record }, socket }: Reached): number | undefined {
  try {
    const { profile, pending, defaults } = inspect(socket)
    return record.info && timeLeft(record.info, { ...profile, ...pending }, record, defaults)?.ms
  } catch (error) {
    if (error instanceof DeadpeerError) return 0
    throw error
  }
}

function isSilent(outcome: Outcome): boolean {
  return 'alive' in outcome && outcome.alive === false
}

function doNotAnswer(count: number): string {
  return count === 1 ? '1 connection does not answer' : `${count} connections do not answer`
}

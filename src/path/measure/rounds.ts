import type { Observation } from '../measured-path.js'
import type { IdleConnection } from './connection.js'
import { type Observed, observeIdle, observeProbed } from './observe.js'
import {
  type Bracket,
  bracketOf,
  gonesNeeded,
  nextAges,
  type RefreshPlan,
  refreshPlan,
  type SearchOptions,
} from './search.js'
import type { ConnectionSource } from './source.js'

/** A search that makes no progress ends after so many rounds. */
const MOST_ROUNDS = 6
/** In the first round each connection is probed up to three times, which tells whether probes are acknowledged. Later, the FIN follows at once. */
const ATTEMPTS = [3, 1] as const
/** If ends of the other side decide, several must be seen: they come as far apart as the connections were opened, ms. */
const FURTHER_ENDS = 2_500
/** The time between two samples of the connections that are idle, ms. */
const SAMPLE_EVERY = 100
/** The listener is called for one sample of so many. */
const REPORTED = 5
/** Rounds that find no end of a connection. A second one tries again if connections were missing, or all ended together. */
const MOST_WITHOUT_LIMIT = 2

/** A round must improve a bound by this, ms. */
const PROGRESS = 100

function isNarrower(before: Bracket, after: Bracket): boolean {
  return after.atLeast >= before.atLeast + PROGRESS || after.atMost <= before.atMost - PROGRESS
}

export interface RoundsListener {
  onObservation(observation: Observation): void
  onSample(): void
}

/** Runs the rounds of a measurement: connections from a source, observations out. */
export class Rounds {
  readonly observations: Observation[] = []
  round = 0
  /** When the longest idle time of this round is over, in ms of `performance.now()`. */
  endsAt = 0
  /** How many connections heard from the other end while idle, and the longest quiet time on them. */
  readonly notIdle = { count: 0, quietFor: 0 }
  readonly #startedAt = performance.now()
  readonly #source: ConnectionSource
  readonly #options: SearchOptions
  readonly #listener: RoundsListener
  readonly #signal: AbortSignal
  readonly #idle = new Set<IdleConnection>()
  #samples = 0

  constructor(
    source: ConnectionSource,
    options: SearchOptions,
    signal: AbortSignal,
    listener: RoundsListener,
  ) {
    this.#source = source
    this.#options = options
    this.#signal = signal
    this.#listener = listener
  }

  /** Whether the limit is known well enough, or there is none. */
  get isFinished(): boolean {
    return nextAges(this.observations, this.#options).length === 0
  }

  /** @param first a connection that is open already. */
  async run(first?: IdleConnection): Promise<void> {
    const sampling = setInterval(() => this.#sample(), SAMPLE_EVERY)
    let refreshing: Promise<void> | undefined
    let ready = first
    try {
      while (this.round < MOST_ROUNDS && !this.#signal.aborted) {
        const ages = nextAges(this.observations, this.#options)
        const plan = refreshing ? undefined : refreshPlan(this.observations)
        if (ages.length === 0 && !plan) break
        this.round++
        const before = bracketOf(this.observations)
        if (plan) refreshing = this.#refresh(plan)
        await this.#idleRound(ages, ready)
        ready = undefined
        if (ages.length > 0 && !this.#isWorthAnother(before)) break
      }
      await refreshing
    } finally {
      clearInterval(sampling)
    }
  }

  #isWorthAnother(before: Bracket): boolean {
    const after = bracketOf(this.observations)
    if (after.atMost === Number.POSITIVE_INFINITY) {
      return this.round < MOST_WITHOUT_LIMIT && this.notIdle.count <= this.observations.length / 2
    }
    return this.round === 1 || isNarrower(before, after)
  }

  async #idleRound(ages: readonly number[], ready: IdleConnection | undefined): Promise<void> {
    const waiting = new Map<AbortController, number>()
    const cut = (above: number) => {
      for (const [controller, age] of waiting) if (age > above) controller.abort()
    }
    const cutAll = () => cut(0)
    let later: NodeJS.Timeout | undefined
    let gone = 0
    this.#signal.addEventListener('abort', cutAll)
    this.endsAt = performance.now() + Math.max(0, ...ages)
    // The oldest first: the round takes as long as the connection that becomes oldest.
    const descending = [...ages].sort((a, b) => b - a)
    await Promise.all(
      descending.map(async (age, n) => {
        const controller = new AbortController()
        waiting.set(controller, age)
        const observed = await this.#observe(age, controller.signal, n === 0 ? ready : undefined)
        waiting.delete(controller)
        if (!observed) return
        this.#note(observed)
        const { goneAt, unasked } = observed
        if (goneAt === undefined) return
        // Connections that are to become older than one that is gone teach nothing more.
        gone++
        if (!unasked && gone >= gonesNeeded(this.round, observed)) cut(goneAt)
        else if (unasked) later ??= setTimeout(() => cut(goneAt + FURTHER_ENDS), FURTHER_ENDS)
      }),
    )
    clearTimeout(later)
    this.#signal.removeEventListener('abort', cutAll)
  }

  async #observe(
    age: number,
    signal: AbortSignal,
    ready: IdleConnection | undefined,
  ): Promise<Observed | undefined> {
    const connection = ready ?? (await this.#source.take(age, signal))
    if (!connection) return undefined
    this.#idle.add(connection)
    const attempts = ATTEMPTS[Math.min(this.round, ATTEMPTS.length) - 1]!
    let observed: Observed | undefined
    try {
      observed = await observeIdle(connection, age, attempts, signal, () => this.#noteNotIdle(connection))
      return observed
    } finally {
      this.#idle.delete(connection)
      // Behind an expired entry a peer would not hear a FIN, and the kernel would retransmit it for minutes.
      const isGone = observed
        ? observed.outcome === 'silent'
        : connection.idle > bracketOf(this.observations).atMost
      this.#source.release(connection, isGone)
    }
  }

  async #refresh(first: RefreshPlan): Promise<void> {
    const connection = await this.#source.take(first.every, this.#signal, first.until)
    if (!connection) return
    const plan = () => refreshPlan(this.observations) ?? first
    let observed: Observed | undefined
    try {
      observed = await observeProbed(connection, plan, this.#signal)
      if (observed) this.#note(observed)
    } finally {
      this.#source.release(connection, observed?.outcome === 'silent')
    }
  }

  #note(observed: Observed): void {
    const { idle, aliveAt, goneAt } = observed
    const observation = {
      round: this.round,
      ...observed,
      idle: Math.round(idle),
      aliveAt: Math.floor(aliveAt),
      ...(goneAt !== undefined && { goneAt: Math.ceil(goneAt) }),
      at: Math.round(performance.now() - this.#startedAt),
    }
    this.observations.push(observation)
    this.#listener.onObservation(observation)
  }

  #noteNotIdle(connection: IdleConnection): void {
    if (connection.disturbances === 0) return
    this.notIdle.count++
    this.notIdle.quietFor = Math.max(this.notIdle.quietFor, connection.idle)
  }

  #sample(): void {
    for (const connection of this.#idle) connection.sample()
    if (++this.#samples % REPORTED === 0) this.#listener.onSample()
  }
}

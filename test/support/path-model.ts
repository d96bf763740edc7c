import type { Observation } from '../../src/path/index.js'
import { gonesNeeded, nextAges, refreshPlan, type SearchOptions } from '../../src/path/measure/search.js'

// A model of a path and of the sockets of a measurement, without a network. All times in ms.

export interface ModelPath {
  /** A hop forgets a connection after this time without a segment. */
  readonly limit: number
  /** What it does then with the next segment. */
  readonly answer: 'silent' | 'reset'
  /** Whether it counts keepalive probes as segments. */
  readonly probesCount: boolean
  /** The other end acknowledges so many probes of a connection. */
  readonly answers: number
  /** The other end closes or resets a connection after this time without data. */
  readonly closesAfter: number
  readonly closesBy: 'close' | 'reset'
  /** The share of segments that are lost on each side of the hop. */
  readonly loss: number
}

export const openPath: ModelPath = {
  limit: Number.POSITIVE_INFINITY,
  answer: 'silent',
  probesCount: true,
  answers: Number.POSITIVE_INFINITY,
  closesAfter: Number.POSITIVE_INFINITY,
  closesBy: 'close',
  loss: 0,
}

const ANSWER = 300
const BETWEEN_PROBES = 510
/** When the FIN leaves: first, as a tail loss probe, and after two retransmission timeouts. */
const FINS = [0, 200, 400, 800]

/** One connection. */
class Connection {
  #heardByHop = 0
  #acknowledged = 0

  constructor(
    readonly path: ModelPath,
    readonly random: () => number,
  ) {}

  #arrives(): boolean {
    return this.random() >= this.path.loss
  }

  /** Sends a segment at this age. */
  send(at: number, kind: 'probe' | 'fin'): 'acknowledged' | 'silent' | 'reset' {
    const { path } = this
    if (!this.#arrives()) return 'silent'
    if (at - this.#heardByHop >= path.limit) {
      return path.answer === 'reset' && this.#arrives() ? 'reset' : 'silent'
    }
    if (kind === 'fin' || path.probesCount) this.#heardByHop = at
    if (!this.#arrives()) return 'silent'
    if (kind === 'probe' && ++this.#acknowledged > path.answers) return 'silent'
    return this.#arrives() && this.#arrives() ? 'acknowledged' : 'silent'
  }

  get isOpenUntil(): number {
    return this.path.closesAfter <= this.path.limit ? this.path.closesAfter : Number.POSITIVE_INFINITY
  }
}

type Observed = Omit<Observation, 'round' | 'at'>

function observeIdle(connection: Connection, age: number, attempts: number): Observed {
  const { isOpenUntil, path } = connection
  const base = { unasked: false, probes: 0, acknowledged: 0, unacknowledgedAtEnd: 0 }
  if (age >= isOpenUntil) {
    const aliveAt = Math.max(0, isOpenUntil - 50)
    return { ...base, idle: isOpenUntil, outcome: path.closesBy, aliveAt, goneAt: isOpenUntil, unasked: true }
  }
  let probes = 0
  let at = age
  for (; age >= 1_050 && probes < attempts; at += BETWEEN_PROBES) {
    probes++
    const answer = connection.send(at, 'probe')
    if (answer === 'acknowledged')
      return { ...base, idle: age, outcome: 'alive', aliveAt: age, probes, acknowledged: 1 }
    if (answer === 'reset') return { ...base, idle: age, outcome: 'reset', aliveAt: 0, goneAt: at, probes }
  }
  const sentAt = probes === 0 ? age : at - BETWEEN_PROBES + ANSWER
  for (const after of FINS) {
    const answer = connection.send(sentAt + after, 'fin')
    const counts = { ...base, idle: age, probes, unacknowledgedAtEnd: probes }
    if (answer === 'acknowledged') return { ...counts, outcome: 'alive', aliveAt: age }
    if (answer === 'reset') return { ...counts, outcome: 'reset', aliveAt: 0, goneAt: sentAt + after }
  }
  return {
    ...base,
    idle: age,
    outcome: 'silent',
    aliveAt: 0,
    goneAt: sentAt,
    probes,
    unacknowledgedAtEnd: probes,
  }
}

function observeProbed(connection: Connection, every: number, until: number): Observed {
  const counts = { probes: 0, acknowledged: 0, unacknowledgedAtEnd: 0, probedEvery: every }
  const { isOpenUntil, path } = connection
  for (let at = every; at < until; at += every) {
    if (at >= isOpenUntil) break
    counts.probes++
    const answer = connection.send(at, 'probe')
    if (answer === 'reset')
      return { ...counts, idle: at, outcome: 'reset', aliveAt: 0, goneAt: at, unasked: false }
    if (answer === 'acknowledged') {
      counts.acknowledged++
      counts.unacknowledgedAtEnd = 0
    } else counts.unacknowledgedAtEnd++
  }
  if (until >= isOpenUntil) {
    return {
      ...counts,
      idle: isOpenUntil,
      outcome: path.closesBy,
      aliveAt: 0,
      goneAt: isOpenUntil,
      unasked: true,
    }
  }
  for (const after of FINS) {
    const answer = connection.send(until + after, 'fin')
    if (answer === 'acknowledged')
      return { ...counts, idle: until, outcome: 'alive', aliveAt: until, unasked: false }
    if (answer === 'reset') {
      return { ...counts, idle: until, outcome: 'reset', aliveAt: 0, goneAt: until, unasked: false }
    }
  }
  return { ...counts, idle: until, outcome: 'silent', aliveAt: 0, goneAt: until, unasked: false }
}

export interface ModelRun {
  readonly observations: readonly Observation[]
  readonly rounds: number
  /** How long it takes. */
  readonly took: number
  /** The most connections that were left idle in one round. */
  readonly most: number
}

/** Runs the search on a model of a path. */
export function measureModel(path: ModelPath, options: SearchOptions, random: () => number): ModelRun {
  const observations: Observation[] = []
  let [rounds, took, refreshedUntil, most] = [0, 0, 0, 0]
  let isRefreshed = false
  while (rounds < 6) {
    const ages = nextAges(observations, options)
    const refresh = isRefreshed ? undefined : refreshPlan(observations)
    if (ages.length === 0 && !refresh) break
    rounds++
    most = Math.max(most, ages.length)
    const fresh: Observation[] = []
    let [length, gone] = [0, 0]
    // As in the real one, connections that are to become older than one that is gone are not used.
    for (const [i, age] of ages.entries()) {
      const attempts = rounds === 1 ? 3 : 1
      const observed = observeIdle(new Connection(path, random), age, attempts)
      // They were opened one after the other.
      const at = took + (observed.unasked ? observed.goneAt! : age) + (ages.length - i) * 105
      fresh.push({ round: rounds, ...observed, at })
      const decision = observed.outcome === 'silent' ? 1_400 : 0
      length = Math.max(length, (observed.goneAt ?? observed.idle) + decision)
      if (observed.goneAt !== undefined && ++gone >= gonesNeeded(rounds, observed) && !observed.unasked) break
    }
    if (refresh) {
      isRefreshed = true
      const { every, until } = refresh
      const observed = observeProbed(new Connection(path, random), every, until)
      fresh.push({ round: rounds, ...observed, at: took + observed.idle })
      refreshedUntil = took + observed.idle + 1_400
    }
    observations.push(...fresh)
    took += length
  }
  return { observations, rounds, took: Math.max(took, refreshedUntil), most }
}

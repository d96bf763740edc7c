import type { Observation } from '../measured-path.js'

// The search for the idle limit: which idle times to try next, given what was observed. Pure. All times in ms.

/** The idle times between which the limit is. `atMost` is Infinity if no connection has expired. */
export interface Bracket {
  readonly atLeast: number
  readonly atMost: number
}

export interface SearchOptions {
  /** The longest idle time to try. */
  readonly upTo: number
  /** How many connections to leave idle at the same time. */
  readonly connections: number
}

/** The shortest idle time of the first round, if `upTo` allows it. A probe leaves only after 1 s. */
const SHORTEST = 1_500
/** The ratio of the longest to the shortest idle time in the first round. */
const SPAN = 300
/** Connections whose ages differ by more than this many times their ends did not end because they were idle. */
const TOGETHER = 3
/** Ends within this time may be one event, ms. */
const ONE_MOMENT = 250

/** The error that is accepted in a limit: 1 %, but not less than 1 s. */
export function toleranceOf(limit: number): number {
  return Math.max(1_000, limit / 100)
}

/**
 * The limit is between the longest idle time that a connection survived, and the shortest that ended one. If they contradict each other,
 * the shortest that ended one wins: a plan must be safe.
 */
export function bracketOf(observations: readonly Observation[]): Bracket {
  const usable = idleOnes(observations)
  const atMost = Math.min(
    Number.POSITIVE_INFINITY,
    ...usable.map(({ goneAt = Number.POSITIVE_INFINITY }) => goneAt),
  )
  const atLeast = Math.max(0, ...usable.map(({ aliveAt }) => aliveAt).filter((idle) => idle < atMost))
  return { atLeast, atMost }
}

/**
 * The observations that say something about the limit: not those that were probed all the time, not those that ended together, and not one that was
 * silent because its segments were lost.
 */
export function idleOnes(observations: readonly Observation[]): Observation[] {
  const together = endedTogether(observations)
  const usable = observations.filter((each) => each.probedEvery === undefined && !together.includes(each))
  return usable.filter((each) => !isLost(each, usable))
}

/** Whether a connection only seemed to be gone: no other one was, and at least two were alive after a longer time. */
function isLost({ outcome, goneAt = 0 }: Observation, observations: readonly Observation[]): boolean {
  if (outcome !== 'silent') return false
  const later = observations.map(({ aliveAt }) => aliveAt).filter((idle) => idle > goneAt)
  if (later.length < 2) return false
  const longest = Math.max(...later)
  return observations.filter((each) => each.goneAt !== undefined && each.goneAt <= longest).length === 1
}

/** How many connections must be gone before those that are to become older are not needed any more. A single one can be the result of lost segments. */
export function gonesNeeded(round: number, { outcome }: Pick<Observation, 'outcome'>): number {
  // In the first round three probes and the FIN went unacknowledged, and the next idle time is far away.
  return round === 1 || outcome !== 'silent' ? 1 : 2
}

/**
 * Connections that ended by themselves at the same moment, though they had been idle for different times. Their peer was restarted or
 * drops all connections for another reason. An idle limit ends connections at the same idle time, one after the other.
 */
export function endedTogether(observations: readonly Observation[]): Observation[] {
  const ended = observations
    .filter(
      ({ unasked, outcome, probedEvery }) => unasked && outcome !== 'alive' && probedEvery === undefined,
    )
    .sort((a, b) => a.at - b.at)
  const groups: Observation[][] = []
  for (const each of ended) {
    const group = groups.at(-1)
    if (group && each.at - group.at(-1)!.at < ONE_MOMENT) group.push(each)
    else groups.push([each])
  }
  return groups.filter((group) => group.length >= 3 && isOneMoment(group)).flat()
}

function isOneMoment(group: readonly Observation[]): boolean {
  const ages = group.map(({ idle }) => idle)
  const ageSpread = Math.max(...ages) - Math.min(...ages)
  return ageSpread > TOGETHER * (group.at(-1)!.at - group[0]!.at) && ageSpread > ONE_MOMENT
}

/**
 * The idle times of the next round, ascending. Empty if the limit is known well enough, or there is none up to `upTo`.
 *
 * The first round is geometric. Later rounds divide the bracket into equal parts. A bracket that only ends of the other side gave in one round is
 * confirmed by a second one.
 */
export function nextAges(observations: readonly Observation[], options: SearchOptions): number[] {
  const { upTo, connections } = options
  const { atLeast, atMost } = bracketOf(observations)
  if (atMost === Number.POSITIVE_INFINITY) {
    // Timers and connections are late by some ms, so an idle time may fall short of what was planned.
    if (atLeast >= upTo * 0.98) return []
    return geometric(atLeast, upTo, connections)
  }
  const tolerance = toleranceOf(atLeast)
  if (atMost - atLeast > tolerance) return dividing({ atLeast, atMost }, tolerance, connections)
  return isConfirmed(observations, atMost) ? [] : [atMost + tolerance / 2, atMost + tolerance / 2]
}

function geometric(above: number, upTo: number, count: number): number[] {
  const shortest = Math.min(upTo, Math.max(SHORTEST, upTo / SPAN))
  if (count === 1) return [upTo]
  if (above < shortest) {
    const ratio = (upTo / shortest) ** (1 / (count - 1))
    return distinct(Array.from({ length: count }, (_, i) => Math.min(upTo, shortest * ratio ** i)))
  }
  const ratio = (upTo / above) ** (1 / count)
  return distinct(Array.from({ length: count }, (_, i) => Math.min(upTo, above * ratio ** (i + 1))))
}

function dividing({ atLeast, atMost }: Bracket, tolerance: number, connections: number): number[] {
  const width = atMost - atLeast
  const parts = Math.min(connections + 1, Math.ceil(width / (tolerance / 2)))
  return Array.from({ length: parts - 1 }, (_, i) => atLeast + ((i + 1) * width) / parts)
}

/** Idle times that differ by less than 1 ms are one. */
function distinct(ages: readonly number[]): number[] {
  return ages.filter((age, i) => i === 0 || age - ages[i - 1]! >= 1)
}

/** Silence and answers to our own segments are evidence by themselves. Ends that came unasked must come again in another round. */
function isConfirmed(observations: readonly Observation[], atMost: number): boolean {
  const gone = idleOnes(observations).filter(
    ({ goneAt }) => goneAt !== undefined && goneAt <= atMost + toleranceOf(atMost),
  )
  return gone.some(({ unasked }) => !unasked) || new Set(gone.map(({ round }) => round)).size > 1
}

/** How to find out whether probes restart the idle time. */
export interface RefreshPlan {
  /** The time between two probes. */
  readonly every: number
  /** How old the connection must become. */
  readonly until: number
}

/** A probe leaves once the peer was not heard for 1 s. */
const SHORTEST_INTERVAL = 1_200
/** So many intervals fit in the idle time that a connection survived. Some of these probes may be lost. */
const INTERVALS = 6

/**
 * A connection that is probed six times within the idle time that another survived, and that must become older than one that expired.
 * `undefined` if the limit is too short for that, or not known.
 */
export function refreshPlan(observations: readonly Observation[]): RefreshPlan | undefined {
  const { atLeast, atMost } = bracketOf(observations)
  if (atMost === Number.POSITIVE_INFINITY || atLeast < SHORTEST_INTERVAL + 300) return undefined
  const late = idleOnes(observations)
    .filter(({ unasked, goneAt }) => unasked && goneAt !== undefined && goneAt < atMost * 1.25)
    .map(({ goneAt }) => goneAt!)
  const last = Math.max(atMost, ...late)
  return { every: Math.max(SHORTEST_INTERVAL, atLeast / INTERVALS), until: last + Math.max(1_000, last / 20) }
}

/** The longest time that the remaining rounds take, if the limit is at the upper end of what is possible. */
export function timeLeft(observations: readonly Observation[], options: SearchOptions): number {
  const { atLeast, atMost } = bracketOf(observations)
  if (atMost === Number.POSITIVE_INFINITY) return options.upTo
  const tolerance = toleranceOf(atLeast)
  let width = atMost - atLeast
  let rounds = isConfirmed(observations, atMost) ? 0 : 1
  for (; width > tolerance; rounds++) width /= options.connections + 1
  return rounds * (atMost + ROUND_ENDS)
}

/** An unacknowledged probe, and a FIN that is retransmitted three times. */
const ROUND_ENDS = 2_000

import type { Keepalive } from '../../../kernel/liveness.js'
import { whileBeating } from '../../../overlay/plan.js'
import { IMMINENT, LEAST_GAP, RECENT } from '../../../probe/evidence.js'
import { probesUntil } from '../../../profile/detection-time.js'
import {
  afterAnswer,
  beginKernelBeats,
  endKernelBeats,
  firstState,
  type Heartbeat,
  kernelBeats,
  kernelPeriod,
  MOST_BEATING,
  nextBeat,
  slotOf,
} from '../../../watch/heartbeat-state.js'

// Simulates a heartbeat on many connections over a long time. It follows the rules of the heartbeat's schedule, with random numbers. Pure.
// docs/heartbeat.md has the model.

/** The connections, their fate, and the heartbeat that watches them. Times in ms. */
export interface Fleet {
  readonly connections: number
  /** The share of connections whose peer is heard more often than the heartbeat would probe: 0 … 1. */
  readonly busy: number
  readonly heartbeat: Heartbeat
  /** The kernel's own keepalive. */
  readonly own: Keepalive
  /** The share of probes that a live peer does not acknowledge, each independently: 0 … 1. */
  readonly loss: number
  readonly rtt: number
  readonly duration: number
  /** The number of peers that vanish in that time. */
  readonly deaths: number
  readonly seed: number
}

export interface Forecast {
  /** Probes sent on behalf of the heartbeat. */
  readonly probes: number
  /** Those of them that we sent ourselves; the kernel sent the others on the heartbeat's schedule. */
  readonly questions: number
  /** Probes that the kernel sent on the connection's own keepalive timer. */
  readonly kernelProbes: number
  /** Samples of busy connections, which are not probed, and of those that the kernel probes. */
  readonly looks: number
  /** Live peers that were declared dead. */
  readonly falseDeaths: number
  /** The detection time of each peer that vanished, sorted. */
  readonly detection: Float64Array
}

/** The course of probing: from when the peer was last heard until it acknowledges or is declared dead. */
interface Cycle {
  /** Whether the heartbeat sends the probes; otherwise the kernel probes already, and is observed. */
  readonly isOurs: boolean
  /** How many probes go unanswered until the peer is declared dead. */
  readonly attempts: number
  readonly gap: number
  /** After the last. */
  readonly wait: number
  /** The shortest and the longest silence at which the first probe is sent. */
  readonly first: readonly [number, number]
  /** The kernel's own schedule, and how much later than `gap` it sends the second probe. */
  readonly clock?: number
  readonly lag: number
}

/** Statistics of heartbeats that are not simulated one by one. */
interface Beats {
  readonly mean: number
  readonly variance: number
  /** The mean number of probes of a heartbeat that the peer acknowledges. */
  readonly probes: number
  /** The share of heartbeats that the kernel begins, on the heartbeat's schedule. */
  readonly byKernel: number
}

/** A tick of the kernel, ms. Most kernels have 250 in a second. */
const TICK = 4

/** The kernel's least retransmission timeout, on top of the path's time (TCP_RTO_MIN). */
const RTO_MIN = 200

/** Up to this number of heartbeats, each is simulated. For more, a normal distribution gives their total time. */
const FEW = 200

export function simulate(fleet: Fleet): Forecast {
  const random = seeded(fleet.seed)
  const { connections, busy, heartbeat, duration } = fleet
  const asked = cycleOf(fleet)
  const beating = kernelCycle(asked, fleet)
  const idle = Math.round(connections * (1 - busy))
  const cycleOfIdle = (i: number) => (beating && i < MOST_BEATING ? beating : asked)
  let [probes, byKernel, falseDeaths] = [0, 0, 0]
  for (const [count, cycle] of [
    [Math.min(idle, MOST_BEATING), cycleOfIdle(0)],
    [Math.max(0, idle - MOST_BEATING), asked],
  ] as const) {
    const beats = beatsOf(cycle, fleet)
    for (let i = 0; i < count; i++) {
      const life =
        cycle.isOurs && duration < FEW * beats.mean
          ? liveBeatByBeat(cycle, fleet, random)
          : liveAtOnce(cycle, beats, fleet, random)
      probes += life.probes
      byKernel += life.byKernel
      falseDeaths += life.falseDeaths
    }
  }
  const detection = Float64Array.from({ length: fleet.deaths }, () =>
    random() < busy
      ? undetected(asked, fleet, true, random)
      : undetected(cycleOfIdle(random() * idle), fleet, false, random),
  ).sort()
  // The vanished peers were probed as well.
  const inVain = asked.attempts * fleet.deaths
  return {
    probes: asked.isOurs ? probes + inVain : 0,
    kernelProbes: asked.isOurs ? 0 : probes + inVain,
    // Both are drawn from a normal distribution.
    questions: asked.isOurs ? Math.max(0, probes - byKernel) + inVain : 0,
    looks:
      byKernel + ((connections - idle) * duration) / (nextBeat(0, heartbeat, 0.5) + slotOf(heartbeat) / 2),
    falseDeaths,
    detection,
  }
}

/** The value below which a part (0 … 1) of sorted values lies. */
export function quantile(sorted: Float64Array, part: number): number {
  const position = (sorted.length - 1) * part
  const below = sorted[Math.floor(position)]!
  return below + (sorted[Math.ceil(position)]! - below) * (position % 1)
}

function cycleOf({ heartbeat, own, rtt }: Fleet): Cycle {
  const { attempts, timeout } = heartbeat
  const wait = Math.max(timeout, rtt + RTO_MIN)
  const gap = Math.max(LEAST_GAP, timeout)
  const first = [nextBeat(0, heartbeat, 0), nextBeat(0, heartbeat, 1) + slotOf(heartbeat)] as const
  const isOurs = !own.enable || own.initialDelay - (first[0] + first[1]) / 2 >= IMMINENT
  if (isOurs) return { isOurs, attempts, gap, wait, first, lag: 0 }
  const { initialDelay, interval, count, userTimeout = 0 } = own
  const allowed = userTimeout > 0 ? probesUntil(userTimeout, initialDelay, interval) : count
  // If the connection's own options allow fewer probes than `attempts`, the kernel ends it one interval after the last allowed probe.
  return attempts <= allowed
    ? { isOurs, attempts, gap: interval, wait, first: [initialDelay, initialDelay], lag: 0 }
    : {
        isOurs,
        attempts: allowed,
        gap: interval,
        wait: interval,
        first: [initialDelay, initialDelay],
        lag: 0,
      }
}

/** The cycle in which the kernel sends the probes, after the peer has acknowledged one. The heartbeat finds an unacknowledged probe after `timeout`. */
function kernelCycle(asked: Cycle, { heartbeat, own, rtt }: Fleet): Cycle | undefined {
  const clock = kernelPeriod(heartbeat)
  if (!asked.isOurs || clock === undefined || !whileBeating(own, clock)) return undefined
  const silence = Math.max(clock + TICK, timerFiresAt(clock) - rtt)
  const seen = heartbeat.timeout + slotOf(heartbeat) / 2
  const { attempts, gap, wait } = asked
  const inTime = attempts > 1 ? wait : Math.max(wait, seen)
  return { ...asked, wait: inTime, first: [silence, silence], clock, lag: Math.max(0, seen - gap) }
}

/** The kernel's timer wheel is eight times as coarse from 63, 504 … ticks on (kernel/time/timer.c). */
function timerFiresAt(ms: number): number {
  const ticks = ms / TICK
  let width = 1
  while (ticks >= 63 * width) width *= 8
  return (Math.floor(ticks / width) + 1) * width * TICK
}

/** Mean and variance of a heartbeat that the peer acknowledges. The attempt that it acknowledges has a geometric distribution. */
function beatsOf(cycle: Cycle, fleet: Fleet): Beats {
  const { attempts, gap, lag } = cycle
  const { loss, rtt } = fleet
  let lost = 0
  let squares = 0
  let total = 0
  for (let j = 0; j < attempts; j++) {
    const likelihood = loss ** j
    total += likelihood
    lost += likelihood * j
    squares += likelihood * j * j
  }
  const mean = lost / total
  const waits = waitsOf(cycle, fleet)
  const wait = waits.reduce((sum, { share, from, to }) => sum + (share * (from + to)) / 2, 0)
  const spread = waits.reduce(
    (sum, { share, from, to }) => sum + share * ((to - from) ** 2 / 12 + ((from + to) / 2 - wait) ** 2),
    0,
  )
  const byKernel = cycle.clock === undefined ? 0 : waits[0]!.share
  return {
    mean: wait + mean * gap + byKernel * loss * lag + rtt,
    variance: spread + (squares / total - mean ** 2) * gap ** 2,
    probes: 1 + mean,
    byKernel,
  }
}

interface Wait {
  readonly share: number
  readonly from: number
  readonly to: number
}

/**
 * How long the waits before heartbeats are, and the share of each. After a heartbeat that is not acknowledged at once we send the probes; the next
 * wait is random, from a second on. If that probe is acknowledged at once, the kernel sends them again.
 */
function waitsOf({ clock, first: [from, to] }: Cycle, { heartbeat, loss }: Fleet): Wait[] {
  if (clock === undefined) return [{ share: 1, from, to }]
  const slot = slotOf(heartbeat)
  const { every } = heartbeat
  return [
    { share: 1 - loss, from, to },
    { share: loss * (1 - loss), from: RECENT, to: Math.max(RECENT, every) + slot },
    { share: loss ** 2, from: nextBeat(0, heartbeat, 0), to: nextBeat(0, heartbeat, 1) + slot },
  ]
}

interface Life {
  probes: number
  byKernel: number
  falseDeaths: number
}

/** Runs the schedule for a connection that is added right after it was heard. A new connection replaces one that is declared dead. */
function liveBeatByBeat(cycle: Cycle, fleet: Fleet, random: Random): Life {
  const { heartbeat, loss, rtt, duration } = fleet
  const life = { probes: 0, byKernel: 0, falseDeaths: 0 }
  const opened = (at: number) => firstState({ sampledAt: at, heardAt: at }, heartbeat, random())
  let state = opened(0)
  for (;;) {
    const didKernelBeat = kernelBeats(state)
    const asked = didKernelBeat ? state.heardAt + cycle.first[0] : state.beatAt + slotOf(heartbeat) * random()
    if (asked > duration) return life
    let unanswered = 0
    while (unanswered < cycle.attempts && random() < loss) unanswered++
    const isCalledDead = unanswered === cycle.attempts
    const attempts = isCalledDead ? unanswered : unanswered + 1
    const lag = didKernelBeat && attempts > 1 ? cycle.lag : 0
    const askedLast = asked + (attempts - 1) * cycle.gap + lag
    life.probes += attempts
    if (didKernelBeat) life.byKernel++
    if (isCalledDead) {
      life.falseDeaths++
      state = opened(askedLast + cycle.wait)
    } else {
      if (didKernelBeat && unanswered > 0) endKernelBeats(state)
      const mayLend = state.isSpread && unanswered === 0
      afterAnswer(state, askedLast + rtt, heartbeat, random())
      if (cycle.clock !== undefined && mayLend) beginKernelBeats(state, cycle.clock)
    }
  }
}

/** Draws the time from one false death to the next. */
function liveAtOnce(
  { attempts, wait, gap, lag }: Cycle,
  beats: Beats,
  { loss, duration }: Fleet,
  random: Random,
): Life {
  const deadly = loss ** attempts
  const life = { probes: 0, byKernel: 0, falseDeaths: 0 }
  let left = duration
  for (;;) {
    const answered =
      deadly > 0 ? Math.floor(Math.log(1 - random()) / Math.log1p(-deadly)) : Number.POSITIVE_INFINITY
    const took = Math.max(0, answered * beats.mean + Math.sqrt(answered * beats.variance) * normal(random))
    const death = took + beats.mean + (attempts - 1) * gap + lag + wait
    if (!(death < left)) {
      const lived = left / beats.mean
      life.probes += Math.floor(lived * beats.probes + random())
      life.byKernel += lived * beats.byKernel
      return life
    }
    life.probes += answered * beats.probes + attempts
    life.byKernel += (answered + 1) * beats.byKernel
    life.falseDeaths++
    left -= death
  }
}

/** Draws the detection time of a peer that vanishes at a random moment. */
function undetected(
  { attempts, gap, wait, first, lag }: Cycle,
  { rtt }: Fleet,
  isBusy: boolean,
  random: Random,
): number {
  const [from, to] = first
  const verdict = (attempts - 1) * gap + (attempts > 1 ? lag : 0) + wait
  for (;;) {
    const silence = from + (to - from) * random()
    // A busy peer had just been heard.
    if (isBusy) return silence + verdict
    // The peer is more likely to vanish in a long wait than in a short one.
    const cycle = silence + rtt
    if (random() * (to + rtt) <= cycle) return cycle * random() + verdict
  }
}

type Random = () => number

/** Random numbers from 0 to 1, the same for a seed (mulberry32). */
function seeded(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let word = Math.imul(state ^ (state >>> 15), state | 1)
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61)
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A normally distributed number (Box and Muller). */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Keepalive, Sample } from '../../src/kernel/liveness.js'
import type { TcpInfo } from '../../src/kernel/tcp-info.js'
import { clockAfter } from '../../src/overlay/clock.js'
import { deferral } from '../../src/overlay/deferral.js'
import { plan, whileBeating } from '../../src/overlay/plan.js'
import type { Profile } from '../../src/profile/profile.js'

// Tests the arithmetic of overlay/ on a model of the kernel's keepalive timer (tcp_keepalive_timer). Compares a connection with overridden
// options to one with its own. `probe-never-harms.test.ts` plays whole probes on a model that also retransmits.

const runs = Number(process.env.DEADPEER_RUNS ?? 100_000)

/** The kernel's timers fire late by up to an eighth of the wait. */
const LATENESS = 1 / 8

/** One idle connection. Times are ms since the peer was last heard. */
class Connection {
  silence = 0
  probes = 0
  diedAt = Number.NaN
  #next: number

  constructor(
    public options: Keepalive,
    readonly late: () => number,
  ) {
    this.#next = this.#after(options.enable ? options.initialDelay : Number.POSITIVE_INFINITY)
  }

  /** Writes all options, TCP_KEEPIDLE among them, which sets the timer (do_tcp_setsockopt). */
  write(options: Keepalive): void {
    this.options = options
    this.#next = options.enable
      ? this.silence + this.#lateness(Math.max(0, options.initialDelay - this.silence))
      : Number.POSITIVE_INFINITY
  }

  /** Lets time pass until `end`, or until the connection ends. `answers` returns whether the peer acknowledges a probe. */
  goOn(end: number, answers: () => boolean = () => false): void {
    let left = end - this.silence
    while (Number.isNaN(this.diedAt) && this.#next - this.silence <= left) {
      left -= this.#next - this.silence
      this.silence = this.#next
      this.#fire(answers)
    }
    this.silence += left
  }

  #fire(answers: () => boolean): void {
    const { initialDelay, interval, count, userTimeout = 0 } = this.options
    const { silence, probes } = this
    if (silence < initialDelay) this.#next = this.#after(initialDelay - silence)
    else if (userTimeout > 0 ? silence >= userTimeout && probes > 0 : probes >= count) this.diedAt = silence
    else if (answers()) {
      this.silence = 0
      this.probes = 0
      this.#next = this.#after(interval)
    } else {
      this.probes++
      this.#next = this.#after(interval)
    }
  }

  #after(wait: number): number {
    return this.silence + this.#lateness(wait)
  }

  #lateness(wait: number): number {
    return wait * (1 + LATENESS * this.late())
  }
}

function sampleOf({ silence, probes }: Connection): Sample {
  return {
    state: 1,
    probes,
    retransmits: 0,
    unacked: 0,
    notSent: 0,
    sampledAt: silence,
    heardAt: 0,
    rto: 200,
    dataAt: 0,
  }
}

/** When a connection ends if its timers fire in time. */
function endOf(options: Keepalive): number {
  const connection = new Connection(options, () => 0)
  connection.goOn(1e12)
  return connection.diedAt
}

const seconds = (min: number, max: number) => fc.integer({ min, max }).map((s) => s * 1_000)

const keepalive = fc
  .record({
    initialDelay: seconds(1, 120),
    interval: seconds(1, 30),
    count: fc.integer({ min: 1, max: 20 }),
    within: fc.oneof(fc.constant(0), fc.constant(1), fc.double({ min: 0.2, max: 1.5, noNaN: true })),
  })
  .map(({ within, ...rest }): Keepalive => {
    const whole = rest.initialDelay + rest.interval * rest.count
    return { enable: true, ...rest, userTimeout: Math.round(whole * within) }
  })

const every = seconds(2, 16)

/** Lateness of each wait, 0 to 1, repeated. */
const lateness = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 12 })

function repeating(values: readonly number[]): () => number {
  let i = 0
  return () => values[i++ % values.length]!
}

describe('a heartbeat whose probes the kernel sends', () => {
  it('ends a connection no sooner than its own options, and at most an interval later, if the process is stopped', () => {
    let beats = 0
    fc.assert(
      fc.property(keepalive, every, lateness, (own, period, late) => {
        const beating = whileBeating(own, period)
        if (!beating) return
        beats++
        const end = endOf(own)
        const connection = new Connection(beating, repeating(late))
        connection.goOn(1e12)
        expect(connection.diedAt).toBeGreaterThanOrEqual(end)
        expect(connection.diedAt).toBeLessThanOrEqual((end + beating.interval) * (1 + LATENESS))
      }),
      { numRuns: runs },
    )
    expect(beats).toBeGreaterThan(runs / 10)
  })

  it('does not change when a connection ends if its options are restored after unacknowledged probes', () => {
    let takeovers = 0
    fc.assert(
      fc.property(
        keepalive,
        every,
        lateness,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (own, period, late, share) => {
          const beating = whileBeating(own, period)
          if (!beating) return
          const end = endOf(own)
          const connection = new Connection(beating, repeating(late))
          connection.goOn(period + share * (end - period))
          const sample = sampleOf(connection)
          if (connection.probes === 0 || sample.sampledAt === 0) return
          takeovers++
          const clock = clockAfter(own, connection.silence)
          const unanswered = connection.probes - clock.sent
          const reasons = { deferred: undefined, isFiring: false, beating: undefined, clock, unanswered }
          connection.write(plan(own, reasons, sample))
          connection.goOn(1e12)
          expect(connection.diedAt).toBeGreaterThanOrEqual(end)
          expect(connection.diedAt).toBeLessThanOrEqual((end + own.interval) * (1 + LATENESS))
        },
      ),
      { numRuns: runs },
    )
    expect(takeovers).toBeGreaterThan(runs / 50)
  })

  it('keeps a connection open whose peer acknowledges, however late the timer fires', () => {
    fc.assert(
      fc.property(keepalive, every, lateness, (own, period, late) => {
        const beating = whileBeating(own, period)
        if (!beating) return
        const connection = new Connection(beating, repeating(late))
        let asked = 0
        for (let beat = 0; beat < 20; beat++) {
          connection.goOn(connection.silence + period * 1.125, () => {
            asked++
            return true
          })
        }
        expect(connection.diedAt).toBeNaN()
        expect(asked).toBeGreaterThan(0)
      }),
      { numRuns: runs / 10 },
    )
  })
})

describe('tuning', () => {
  /** The number of probes that the settings promise from when the peer was last heard. All but one of them may be lost. */
  const promised = (options: Keepalive) => {
    const { initialDelay, interval, count, userTimeout = 0 } = options
    return userTimeout === 0 ? count : Math.max(1, Math.ceil((userTimeout - initialDelay) / interval))
  }

  it('never ends a connection whose peer acknowledges the last probe that the settings promise', () => {
    let deferrals = 0
    fc.assert(
      fc.property(
        keepalive,
        keepalive,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (before, wanted, share) => {
          // A late timer would reach userTimeout with fewer probes, whether tuned or not.
          const connection = new Connection(before, () => 0)
          connection.goOn(share * endOf(before) * 0.999)
          const { silence, probes } = connection
          const { now, later } = deferral(profileOf(wanted), profileOf(before), infoOf(silence, probes))
          if (Object.keys(later).length > 0) deferrals++
          connection.write({ ...before, ...now })
          let lost = Math.max(0, promised(wanted) - 1 - probes)
          connection.goOn(silence + endOf(wanted) * 2, () => lost-- <= 0)
          expect(connection.diedAt).toBeNaN()
        },
      ),
      { numRuns: runs },
    )
    expect(deferrals).toBeGreaterThan(runs / 50)
  })
})

function profileOf({ userTimeout, ...rest }: Keepalive): Profile {
  return { ...rest, userTimeout: userTimeout ?? 0 }
}

function infoOf(silence: number, probes: number): TcpInfo {
  const lasts = { lastDataSent: silence, lastDataRecv: silence, lastAckRecv: silence }
  return { state: 1, retransmits: 0, backoff: 0, probes, ...lasts } as TcpInfo
}

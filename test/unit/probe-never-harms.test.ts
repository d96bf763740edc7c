import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Keepalive } from '../../src/kernel/liveness.js'
import { JIFFY, type Outage } from '../support/keepalive-model.js'
import { type Outcome, play, type Schedule, still } from '../support/model-twins.js'

// A connection that is asked beside a twin that is not, on a model of the kernel's timers and on virtual time: what `probe` does in
// all schedules that chance comes upon, with the process stopped between most system calls.

const seconds = (min: number, max: number) => fc.integer({ min, max }).map((s) => s * 1_000)
const ms = (max: number) => fc.integer({ min: 1, max })

const options = fc
  .record({
    enable: fc.constant(true),
    initialDelay: seconds(1, 9),
    interval: seconds(1, 6),
    count: fc.integer({ min: 1, max: 5 }),
    userTimeout: fc.oneof(fc.constant(0), fc.integer({ min: 300, max: 20_000 })),
  })
  // One that passes within ticks of a firing may or may not have passed at it.
  .filter(({ userTimeout }) => userTimeout % 1_000 === 0 || userTimeout % 1_000 > 100)

const outages = fc
  .array(fc.tuple(ms(20_000), fc.oneof(ms(4_000), ms(60_000))), { maxLength: 3 })
  .map((list) => list.map(([from, length]): Outage => [from, from + length]))

const questions = fc.array(
  fc.record(
    {
      at: ms(20_000),
      attempts: fc.integer({ min: 1, max: 5 }),
      timeout: fc.integer({ min: 50, max: 600 }),
      abortAfter: ms(2_000),
    },
    { requiredKeys: ['at', 'attempts', 'timeout'] },
  ),
  { minLength: 1, maxLength: 4 },
)

/** The event loop is blocked just when a probe has been asked for. */
const blocking = fc.array(
  fc.record({
    at: ms(20_000),
    attempts: ms(5),
    timeout: ms(600),
    blockAfter: fc.nat(12),
    blockFor: ms(8_000),
  }),
  { minLength: 1, maxLength: 3 },
)

/** Its own clock is set up to so many ms early: two readings of the kernel's clocks may differ by ticks (overlay/own-clock.ts). */
const CLOCK_DIFFERENCE = 20

/** fast-check prints the seed with what it finds. */
const seed = process.env.DEADPEER_SEED ? Number(process.env.DEADPEER_SEED) : Date.now() & 0x7fffffff
const numRuns = Number(process.env.DEADPEER_RUNS ?? 1_500)

/** Plays schedules, and compares when each probed connection and its twin end. */
async function check(
  schedules: fc.Arbitrary<Schedule>,
  lateness: (schedule: Schedule, outcome: Outcome) => number,
  earliness: (schedule: Schedule) => number = () => 0,
) {
  await fc.assert(
    fc.asyncProperty(schedules, async (schedule) => {
      const outcome = await play(schedule)
      const { twin, probed } = outcome
      const early = earliness(schedule)
      if (twin.isOpen && early === 0)
        expect(probed.isOpen || outcome.isClose, `dead at ${probed.diedAt}`).toBe(true)
      if (!twin.isOpen) {
        expect(probed.diedAt, `twin at ${twin.diedAt}`).toBeGreaterThanOrEqual(
          twin.diedAt - CLOCK_DIFFERENCE - early,
        )
        const latest = twin.diedAt + 2 * JIFFY + lateness(schedule, outcome)
        // A connection that ends later may be acknowledged before.
        if (outcome.heardAfter > latest)
          expect(probed.diedAt, `twin at ${twin.diedAt}`).toBeLessThanOrEqual(latest)
      }
      if (
        !probed.isOpen &&
        [schedule.tunes, schedule.writes, schedule.spoken].every((list) => list.length === 0)
      ) {
        expect(probed.diedAt - probed.heardAt).toBeGreaterThanOrEqual(leastOf(schedule.options) - 2 * JIFFY)
      }
      expect(outcome.isLeftOver).toBe(false)
      if (probed.isOpen) expect(probed.options).toEqual(twin.options)
    }),
    { seed, numRuns },
  )
}

/**
 * Probes that the kernel counts before its own timer is due are attributed to deadpeer. They may be the kernel's own, from before the peer
 * sent data.
 */
const stillCounted = ({ options: { interval, count } }: Schedule) => 1_000 + interval * (count + 1)

/** The shortest silence after which a connection ends. */
function leastOf({ initialDelay, interval, count, userTimeout = 0 }: Keepalive): number {
  return userTimeout > 0 ? Math.max(userTimeout, initialDelay + interval) : initialDelay + interval * count
}

/** A firing that is late because the process was stopped may come after userTimeout. The one before would not have. */
const regrouped = ({ options: { userTimeout, interval } }: Schedule) => (userTimeout ? interval : 0)

/** Settings with which the kernel's timer fires `initialDelay` after the peer was heard. */
const plain = options.filter(({ initialDelay, interval }) => interval <= initialDelay)

/** An acknowledgement restarts the timer, which would have fired after `interval` otherwise. */
const sooner = ({ options: { interval, initialDelay } }: Schedule) => (interval > initialDelay ? interval : 0)

/** The timer is set to whole seconds. With a userTimeout that may add an interval. */
const later = ({ options: { interval } }: Schedule) => 1_000 + interval

describe('a probed connection on a model of the kernel ends when an identical connection without probes ends', () => {
  it('with outages and probes', async () => {
    await check(
      fc.record({ options: plain, outages, questions }).map((r) => ({ ...still, ...r })),
      () => 0,
    )
  })

  it('with an interval longer than initialDelay', async () => {
    await check(
      fc.record({ options, outages, questions }).map((r) => ({ ...still, ...r })),
      later,
      sooner,
    )
  })

  it('if keepalive is switched on while the peer is unresponsive', async () => {
    await check(
      fc.record({ options, outages, questions, enabledAt: ms(9_000) }).map((r) => ({
        ...still,
        ...r,
        questions: r.questions.map((q) => ({ ...q, at: q.at + r.enabledAt })),
      })),
      later,
      (schedule) => schedule.enabledAt + sooner(schedule),
    )
  })

  it('with data in both directions', async () => {
    await check(
      fc
        .record({
          options: plain,
          outages,
          questions,
          writes: fc.array(ms(20_000), { maxLength: 2 }),
          spoken: fc.array(ms(20_000), { maxLength: 3 }),
        })
        .map((r) => ({ ...still, ...r })),
      stillCounted,
    )
  })

  it('if the event loop is blocked', async () => {
    await check(
      fc
        .record({
          options: plain,
          outages,
          questions: blocking,
          spoken: fc.array(ms(20_000), { maxLength: 3 }),
          blocks: fc.array(fc.record({ at: ms(20_000), ms: ms(4_000) }), { maxLength: 3 }),
        })
        .map((r) => ({ ...still, ...r })),
      (schedule, { idle }) => idle + stillCounted(schedule),
      regrouped,
    )
  })

  it('if the process is stopped between two system calls', async () => {
    await check(
      fc
        .record({
          options: plain,
          outages,
          questions,
          spoken: fc.array(ms(20_000), { maxLength: 3 }),
          stops: fc.array(fc.record({ call: fc.nat(60), ms: ms(12_000) }), { minLength: 1, maxLength: 3 }),
        })
        .map((r) => ({ ...still, ...r })),
      (schedule, { idle }) => idle + stillCounted(schedule),
      regrouped,
    )
  })

  it('or later if it is tuned during a probe', async () => {
    const values = fc.record(
      {
        initialDelay: seconds(6, 9),
        interval: seconds(1, 6),
        count: fc.integer({ min: 1, max: 5 }),
        userTimeout: fc.integer({ min: 0, max: 20_000 }),
      },
      { requiredKeys: [] },
    )
    await check(
      fc
        .record({
          options: plain.map((own) => ({ ...own, initialDelay: own.initialDelay + 5_000 })),
          outages,
          questions,
          tunes: fc.array(fc.record({ at: ms(20_000), values }), { minLength: 1, maxLength: 2 }),
        })
        .map((r) => ({ ...still, ...r })),
      // The twin may end at once, because its values are not deferred.
      () => Number.POSITIVE_INFINITY,
    )
  })
})

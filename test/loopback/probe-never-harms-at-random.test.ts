import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Profile } from '../../src/index.js'
import { type Event, type Fate, type Played, play, type Schedule } from '../support/loopback-twins.js'
import {
  play as foretell,
  type Schedule as ModelSchedule,
  type Outcome,
  still,
} from '../support/model-twins.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { TICK } from '../support/tolerance.js'

// Plays hundreds of random schedules at the same time, each on a connection that is probed and on a twin that is not. A model of the kernel's
// timers predicts what happens to both. Schedules with a close result are left out: an outage that begins or ends just when a probe leaves.

const seed = process.env.DEADPEER_SEED ? Number(process.env.DEADPEER_SEED) : Date.now() & 0x7fffffff
const SCHEDULES = Number(process.env.DEADPEER_RUNS ?? 400)

/** Several, so that a busy or blocked process does not delay all connections. */
const PROCESSES = 4
const UNTIL = 20_000

/** How late the kernel's timers may be after a few waits of seconds, and the process on a busy machine. */
const MARGIN = { before: 150, after: 900 }

/** An event that is later than this, in ms, may change what was predicted. */
const ON_TIME = 60

const at = fc.integer({ min: 100, max: 9_000 })
const seconds = (min: number, max: number) => fc.integer({ min, max }).map((n) => n * 1_000)

const profiles = fc
  .record({
    initialDelay: seconds(2, 5),
    interval: seconds(1, 2),
    count: fc.integer({ min: 1, max: 3 }),
    userTimeout: fc.oneof(
      fc.constant(0),
      fc.integer({ min: 1, max: 12 }).map((n) => n * 1_000 - 400),
    ),
  })
  .map((profile) => ({ ...profile, enable: true }))

const outages = fc
  .array(fc.tuple(at, fc.oneof(fc.integer({ min: 300, max: 4_000 }), fc.constant(60_000))), {
    minLength: 1,
    maxLength: 2,
  })
  .map((list) => apart(list.map(([from, length]) => [from, from + length] as const)))

/** One ends before the next begins. */
function apart(list: (readonly [number, number])[]) {
  const sorted = list.toSorted(([a], [b]) => a - b)
  return sorted.filter(([from], i) => i === 0 || from > sorted[i - 1]![1] + 100)
}

const questions = fc.array(
  fc.record(
    {
      at,
      attempts: fc.integer({ min: 1, max: 5 }),
      timeout: fc.integer({ min: 50, max: 600 }),
      abortAfter: fc.integer({ min: 1, max: 2_000 }),
    },
    { requiredKeys: ['at', 'attempts', 'timeout'] },
  ),
  { minLength: 1, maxLength: 4 },
)

const tunes = fc.array(
  fc.record({
    at,
    values: fc.record(
      {
        initialDelay: seconds(2, 5),
        interval: seconds(1, 2),
        count: fc.integer({ min: 1, max: 3 }),
      },
      { requiredKeys: [] },
    ),
  }),
  { maxLength: 1 },
)

const some = (times: number) => fc.array(at, { maxLength: times })
const rarely = fc.integer({ min: 0, max: 9 }).map((n) => n === 0)

const schedules = fc
  .record({
    options: profiles,
    outages,
    questions,
    spoken: some(2),
    writes: fc.tuple(rarely, some(1)).map(([does, times]) => (does ? times : [])),
    tunes: fc.tuple(rarely, tunes).map(([does, list]) => (does ? list : [])),
    blocks: fc
      .tuple(rarely, fc.record({ at, ms: fc.integer({ min: 20, max: 100 }) }))
      .map(([does, block]) => (does ? [block] : [])),
  })
  // A peer that hears no ACK says it again and again, and so is heard of.
  .filter(({ outages, spoken }) => !outages.some(([from, to]) => spoken.some((at) => from < at && at < to)))
  .map((parts): ModelSchedule => ({ ...still, ...parts, isReading: true }))

interface Foretold {
  readonly model: ModelSchedule
  readonly outcome: Outcome
}

/** At most this share of the schedules ends in death, and at most this share in life. Left to chance, some seeds have less than 20 % that live. */
const MOST_OF_ONE_FATE = 0.7

/** Schedules whose fate does not hang on tens of milliseconds. */
async function choose(count: number): Promise<Foretold[]> {
  const chosen: Foretold[] = []
  const isFull = (isOpen: boolean) =>
    chosen.filter(({ outcome }) => outcome.probed.isOpen === isOpen).length >= MOST_OF_ONE_FATE * count
  for (let batch = 0; chosen.length < count; batch++) {
    for (const model of fc.sample(schedules, { seed: seed + batch, numRuns: count })) {
      if (chosen.length === count) break
      const outcome = await foretell(model)
      const isSure = !isTossUp(model, outcome) && (await isTheSameLate(model, outcome))
      if (isSure && !isFull(outcome.probed.isOpen)) chosen.push({ model, outcome })
    }
  }
  return chosen
}

/** Whether it comes to the same where this process is late with what it does. */
async function isTheSameLate(model: ModelSchedule, { twin }: Outcome): Promise<boolean> {
  const later = <T extends { readonly at: number }>(list: readonly T[]) =>
    list.map((each) => ({ ...each, at: each.at + MARGIN.before }))
  const late = {
    ...model,
    questions: later(model.questions),
    tunes: later(model.tunes),
    spoken: model.spoken.map((at) => at + MARGIN.before),
    writes: model.writes.map((at) => at + MARGIN.before),
  }
  const outcome = await foretell(late)
  return outcome.twin.isOpen === twin.isOpen && !isTossUp(late, outcome)
}

/** Whether a second of silence, under which nothing is asked, is over just when somebody asks. */
function isAboutRecent({ questions, spoken }: ModelSchedule): boolean {
  const heard = [...questions.map(({ at }) => at), ...spoken]
  return questions.some(({ at }) => heard.some((before) => Math.abs(at - before - 1_000) < 100))
}

function isTossUp(model: ModelSchedule, { twin, probed }: Outcome): boolean {
  const { outages, spoken, writes, tunes } = model
  if (isAboutRecent(model)) return true
  const deaths = [twin.diedAt, probed.diedAt].filter(Number.isFinite)
  const firings = [...twin.asked, ...probed.asked].filter((each) => each < UNTIL)
  const bounds = outages.flat()
  const others = [...spoken, ...writes, ...tunes.map(({ at }) => at)]
  const isAbout = (event: number, firing: number) =>
    event > firing - MARGIN.before && event < firing + MARGIN.after
  return (
    bounds.some((bound) => [...firings, ...others, ...deaths].some((each) => isAbout(bound, each))) ||
    others.some((event) => [...deaths, ...firings].some((each) => isAbout(event, each))) ||
    deaths.some((death) => death > UNTIL - 3_000)
  )
}

function toPlay({ options, outages, questions, spoken, writes, tunes, blocks }: ModelSchedule): Schedule {
  const events: Event[] = [
    ...outages.flatMap(([from, to]): Event[] => [
      { at: from, does: 'outage' },
      ...(to < UNTIL ? [{ at: to, does: 'over' } as const] : []),
    ]),
    ...questions.map((each, i): Event => ({ does: 'ask', all: i % 2 === 1, ...each })),
    ...spoken.map((at): Event => ({ at, does: 'speak' })),
    ...writes.map((at): Event => ({ at, does: 'write' })),
    ...tunes.map(({ at, values }): Event => ({ at, does: 'tune', values })),
    ...blocks.map(({ at, ms }): Event => ({ at, does: 'block', ms })),
  ]
  return { profile: options as Profile, events: events.toSorted((a, b) => a.at - b.at), until: UNTIL }
}

/** What makes a difference between two fates. */
function differences({ model, outcome }: Foretold, { probed, twin, before }: Played): string[] {
  const found: string[] = []
  const say = (isSo: boolean, what: string) => void (isSo || found.push(what))
  const isTuned = model.tunes.length > 0
  say((probed.died === null) === (twin.died === null), 'one lives and the other does not')
  if (probed.died !== null && twin.died !== null) {
    const tolerance = twin.silentFor! * 0.15 + 100 + outcome.idle
    say(Math.abs(probed.died - twin.died) <= tolerance, 'they end at different times')
    if (!isTuned && model.writes.length === 0) {
      say(probed.silentFor! > leastOf(model.options) - 3 * TICK, 'it ends sooner than its settings give')
    }
  }
  if (probed.died === null && twin.died === null) found.push(...leftOver(before, probed, twin, isTuned))
  return found
}

/** Whether the twin, which is not probed, ends or lives as the model predicts. */
function isForetold({ model, outcome }: Foretold, { twin, late }: Played): boolean {
  return model.tunes.length > 0 || late > ON_TIME || (twin.died === null) === outcome.twin.isOpen
}

function leftOver(before: Profile, probed: Fate, twin: Fate, isTuned: boolean): string[] {
  const own = JSON.stringify(isTuned ? twin.profile : before)
  return [
    ...(JSON.stringify(probed.profile) === own && JSON.stringify(twin.profile) === own
      ? []
      : ['other options']),
    ...(probed.pending ? ['something is pending'] : []),
    // While data is in flight, data from the peer acknowledges no probe.
    ...(probed.probes === 0 || probed.unacked! > 0 ? [] : ['probes are unanswered']),
  ]
}

function leastOf({ initialDelay, interval, count, userTimeout = 0 }: ModelSchedule['options']): number {
  return userTimeout > 0 ? Math.max(userTimeout, initialDelay + interval) : initialDelay + interval * count
}

describe.runIf(hasNetAdmin)(
  `each of ${SCHEDULES} random schedules with probes (DEADPEER_SEED=${seed})`,
  () => {
    let foretold: Foretold[] = []
    let played: Played[] = []

    beforeAll(async () => {
      foretold = await choose(SCHEDULES)
      const size = Math.ceil(SCHEDULES / PROCESSES)
      const parts = Array.from({ length: PROCESSES }, (_, i) => foretold.slice(i * size, (i + 1) * size))
      played = (await Promise.all(parts.map((part) => play(part.map(({ model }) => toPlay(model)))))).flat()
    }, 90_000)

    it('ends the probed connection when an identical connection without probes ends, or leaves it open with its own options', async () => {
      const different = (some: readonly Foretold[], outcomes: readonly Played[]) =>
        some.flatMap((each, i) => {
          const found = differences(each, outcomes[i]!)
          return found.length === 0 ? [] : [{ each, found, schedule: toPlay(each.model), ...outcomes[i]! }]
        })
      // Other tests share loopback and its receive backlog. A lost segment, or a timer that fires just before an outage instead of just after it,
      // can change a result. A fault of probe shows in every replay.
      let differing = different(foretold, played)
      for (let replay = 0; replay < 2 && differing.length > 0; replay++) {
        console.log(`# played again: ${JSON.stringify(differing.map(({ found }) => found))}`)
        const again = differing.map(({ each }) => each)
        differing = different(again, await play(again.map(({ model }) => toPlay(model))))
      }
      expect(differing).toEqual([])
    }, 90_000)

    it('ends the connection without probes when the model predicts it, or leaves it open', () => {
      // Except a few: on a busy machine the kernel's timers and the outages are late enough to change a close result.
      const others = foretold.filter((each, i) => !isForetold(each, played[i]!))
      expect(others.length).toBeLessThanOrEqual(0.02 * SCHEDULES)
    })

    it('ends at least a fifth of the connections, and leaves at least a fifth open', () => {
      const answers = played.flatMap((each) => each.answers)
      const share = (of: number) => of / SCHEDULES
      expect(share(played.filter(({ probed }) => probed.died !== null).length)).toBeGreaterThan(0.2)
      expect(share(played.filter(({ probed }) => probed.died === null).length)).toBeGreaterThan(0.2)
      for (const evidence of ['ack', 'silence', 'recent', 'aborted']) {
        expect(
          share(answers.filter((answer) => answer.evidence === evidence).length),
          evidence,
        ).toBeGreaterThan(0.05)
      }
    })
  },
)

import { describe, expect, it } from 'vitest'
import type { Profile } from '../../src/index.js'
import { type Event, type Played, play, type Schedule } from '../support/loopback-twins.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { latest, TICK } from '../support/tolerance.js'

// Each probed connection has a twin with the same history that is not probed. Both must end at the same time, or both stay open.

const s = 1_000
const seconds = (idle: number, interval: number, count: number, more: Profile = {}): Profile => ({
  initialDelay: idle * s,
  interval: interval * s,
  count,
  ...more,
})

const silent: Event = { at: 0, does: 'outage' }
const ask = (at: number, more: Partial<Extract<Event, { does: 'ask' }>> = {}): Event => ({
  at,
  does: 'ask',
  attempts: 3,
  ...more,
})
const outage = (from: number, length: number): Event[] => [
  { at: from, does: 'outage' },
  { at: from + length, does: 'over' },
]

type Case = [
  what: string,
  profile: Profile,
  events: Event[],
  deathAt: number | undefined,
  more?: { lateness?: number; until?: number; isReading?: boolean },
]

/** Longer than the detection time of each connection. */
const LONG_ENOUGH = 21 * s

const cases: Case[] = [
  ...[
    seconds(5, 2, 3),
    seconds(5, 2, 9, { userTimeout: 3 * s }),
    seconds(5, 2, 1),
    seconds(5, 2, 3, { userTimeout: s }),
  ].flatMap((profile) => {
    const { userTimeout, count } = profile
    const death = (5 + 2 * (userTimeout ? 1 : count!)) * s
    const name = `5/2/${count}${userTimeout ? `, userTimeout ${userTimeout}` : ''}`
    return [
      ...[300, 1_000, 3_000].map(
        (length): Case => [
          `${name}: an outage of ${length} ms during the probe`,
          profile,
          [...outage(1_900, length), ask(2_000)],
          undefined,
        ],
      ),
      [`${name}: a peer that is gone`, profile, [silent, ask(2_000)], death],
      [
        `${name}: 20 attempts, 50 ms apart`,
        profile,
        [silent, ask(1_100, { attempts: 20, timeout: 50 })],
        death,
      ],
      [
        `${name}: three probes in a row`,
        profile,
        [silent, ask(1_100, { attempts: 1 }), ask(2_500, { attempts: 1 }), ask(3_800, { attempts: 1 })],
        death,
      ],
      [
        `${name}: two probes at the same time`,
        profile,
        [silent, ask(2_000), ask(2_100, { attempts: 2, all: true })],
        death,
      ],
      [`${name}: aborted`, profile, [silent, ask(2_000, { abortAfter: 700 })], death],
      [`${name}: aborted before the next tick`, profile, [silent, ask(2_000, { abortAfter: 0 })], death],
    ] as Case[]
  }),
  [
    'a peer that is back in time, after a longer silence than userTimeout',
    seconds(5, 2, 3, { userTimeout: 2 * s }),
    [...outage(0, 4_500), ask(3_000)],
    undefined,
  ],
  ...[seconds(5, 1, 3), seconds(5, 2, 9, { userTimeout: 3 * s })].map(
    (profile): Case => [
      `a peer that sends data, which acknowledges no probe: count ${profile.count}`,
      profile,
      [
        { at: 100, does: 'speak' },
        { at: 200, does: 'speak' },
        { at: 400, does: 'outage' },
        ask(1_300),
        { at: 3_500, does: 'over' },
        { at: 3_700, does: 'speak' },
      ],
      undefined,
      { isReading: false },
    ],
  ),
  ['a probe while the kernel is probing', seconds(2, 5, 3), [silent, ask(8_000)], 17 * s],
  ['a probe just before the kernel probes', seconds(5, 2, 3), [silent, ask(4_700)], 11 * s],
  [
    'data written during the probe to a peer that is gone',
    seconds(5, 2, 3, { userTimeout: 3 * s }),
    [silent, ask(2_000), { at: 2_200, does: 'write' }],
    2_200 + 3_400,
  ],
  [
    'data written during the probe and acknowledged',
    seconds(5, 2, 3, { userTimeout: 3 * s }),
    [...outage(1_900, 1_500), ask(2_000), { at: 2_200, does: 'write' }],
    undefined,
  ],
  [
    'tuned during the probe to a shorter detection time',
    seconds(8, 2, 5),
    [silent, ask(1_500), { at: 2_000, does: 'tune', values: seconds(4, 1, 2) }],
    6 * s,
  ],
  [
    'tuned during the probe to a longer detection time',
    seconds(4, 1, 1),
    [silent, ask(1_500), { at: 2_000, does: 'tune', values: seconds(6, 2, 3) }],
    12 * s,
  ],
  [
    'tuned during the probe to another count',
    seconds(4, 1, 1),
    [silent, ask(1_500), { at: 2_000, does: 'tune', values: { count: 4 } }],
    8 * s,
  ],
  [
    'tuned during the probe to a userTimeout',
    seconds(4, 1, 5),
    [silent, ask(1_500), { at: 2_000, does: 'tune', values: { userTimeout: 6_500 } }],
    7 * s,
  ],
  [
    'tuned after the probe',
    seconds(4, 1, 1),
    [silent, ask(1_500, { attempts: 2 }), { at: 3_400, does: 'tune', values: { count: 3 } }],
    7 * s,
  ],
  [
    'an interval longer than initialDelay',
    seconds(1, 4, 2),
    [{ at: 500, does: 'speak' }, { at: 1_600, does: 'outage' }, ask(3_200, { attempts: 1 })],
    undefined,
    { until: 8_000 },
  ],
  [
    'an interval longer than initialDelay, and a peer that is gone',
    seconds(1, 4, 2),
    [silent, ask(2_500)],
    9 * s,
  ],
  [
    'keepalive switched on after a silence longer than initialDelay',
    { ...seconds(2, 2, 2), enable: false },
    [silent, { at: 3_500, does: 'tune', values: { enable: true } }, ask(4_000, { attempts: 1 })],
    9_500,
    { lateness: s },
  ],
  [
    'keepalive switched on after a silence shorter than initialDelay',
    { ...seconds(4, 1, 2), enable: false },
    [silent, { at: 2_000, does: 'tune', values: { enable: true } }, ask(2_500, { attempts: 1 })],
    8 * s,
    { lateness: s },
  ],
  ['SO_KEEPALIVE off', { ...seconds(2, 1, 2), enable: false }, [silent, ask(2_500), ask(6_000)], undefined],
]

function fateIs(
  { probed, twin, before, answers }: Played,
  profile: Profile,
  death: number | undefined,
  lateness = 0,
): void {
  expect(answers.length).toBeGreaterThan(0)
  if (death === undefined) {
    expect([probed.died, twin.died]).toEqual([null, null])
    expect(probed).toMatchObject({ profile: twin.profile, probes: 0 })
    expect(probed.pending).toBeUndefined()
    expect(before).toMatchObject(profile)
    return
  }
  // The twin shows that the expected time is right.
  expect(twin.died).toBeGreaterThan(death - TICK)
  expect(twin.died).toBeLessThan(latest(death))
  expect(probed.died).toBeGreaterThan(death - TICK)
  expect(probed.died).toBeLessThan(latest(death) + lateness)
  expect([probed.code, twin.code]).toEqual(['ETIMEDOUT', 'ETIMEDOUT'])
}

const schedule = ([, profile, events, , more]: Case): Schedule => ({
  profile,
  events,
  until: LONG_ENOUGH,
  ...more,
})

describe.concurrent('a probed connection', () => {
  // All of them run at the same time, because deaths take seconds.
  const together = hasNetAdmin ? play(cases.map(schedule)) : undefined

  it.runIf(hasNetAdmin).for(cases)(
    'ends when an identical connection without probes ends, or stays open like it: %s',
    async (each) => {
      const [, profile, , death, more] = each
      fateIs((await together!)[cases.indexOf(each)]!, profile, death, more?.lateness)
    },
  )

  it.runIf(hasNetAdmin).for<Case>([
    [
      'the event loop blocked for 2 s while initialDelay passes',
      seconds(5, 2, 3),
      [silent, ask(3_500, { blockFor: 2_000 })],
      11 * s,
    ],
    [
      'the event loop blocked for 2 s, until before initialDelay',
      seconds(5, 2, 3),
      [silent, ask(2_000, { blockFor: 2_000 })],
      11 * s,
    ],
    [
      'the event loop blocked for 2 s, with a userTimeout',
      seconds(5, 2, 9, { userTimeout: 3 * s }),
      [silent, ask(3_500, { blockFor: 2_000 })],
      7 * s,
    ],
    ['the process stopped for 4 s', seconds(5, 2, 3), [silent, ask(3_000, { stopFor: 4_000 })], 11 * s],
    [
      'the process stopped for 4 s, count 1',
      seconds(5, 2, 1),
      [silent, ask(2_000, { stopFor: 4_000 })],
      7 * s,
    ],
    [
      'the process stopped for 4 s, a short interval',
      seconds(5, 1, 3),
      [silent, ask(3_500, { stopFor: 4_000 })],
      8 * s,
    ],
    [
      // The peer is in this process too. It is back when the process continues, well before its twin would end.
      'the process stopped for 3 s, and a peer that is back after it',
      seconds(5, 1, 3),
      [...outage(1_000, 3_500), ask(3_500, { stopFor: 3_000 })],
      undefined,
    ],
  ])('ends no sooner than its twin, and later by at most the pause, or survives: %s', async (each) => {
    const [, profile, events, death] = each
    const [played] = await play([schedule(each)])
    // Its own next probe may wait until the process continues, so it ends later by at most the pause.
    const held = events.map((event) => (event.does === 'ask' && (event.blockFor ?? event.stopFor)) || 0)
    fateIs(played!, profile, death, Math.max(...held))
  })
})

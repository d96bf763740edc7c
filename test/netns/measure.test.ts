import { spawnSync } from 'node:child_process'
import { beforeAll, describe, expect, it } from 'vitest'
import type { MeasuredPath, MeasureOptions } from '../../src/path/index.js'
import { hasNamespaces, runInside } from '../support/network-namespace.js'
import { leaveOut } from '../support/skip-reason.js'

// Real connection tracking of Linux between two hosts. The cases wait for the same minutes, in network namespaces of their own.

const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` }
const hasNat = spawnSync('nft', ['--version'], { env }).status === 0
if (!hasNat) leaveOut('nft is not installed')

interface Path {
  readonly side: 'client' | 'server'
  readonly limit?: number
  readonly loose?: boolean
  readonly answer?: 'drop' | 'reject'
  readonly probesPass?: number
  readonly loss?: number
  readonly closeAfter?: number
  readonly busyEvery?: number
  readonly upTo: number
}

interface Outcome {
  readonly result: MeasuredPath
  readonly ofServer?: MeasuredPath
  readonly took: number
  readonly most: number
}

interface Expected {
  /** The true limit in ms. `undefined`: none. */
  readonly limit?: number
  readonly found: { readonly [Name in keyof MeasuredPath]?: MeasuredPath[Name] | undefined }
  readonly notes?: readonly string[]
}

const dropped = { onExpiry: 'silent', expiredBy: 'hop', answersProbes: 'yes', probesCount: true } as const
const reset = { ...dropped, onExpiry: 'reset' } as const
const none = {
  idleLimit: undefined,
  onExpiry: undefined,
  probesCount: undefined,
  answersProbes: 'yes',
} as const
const nine = { limit: 9, upTo: 20_000 } as const
const sixty = { limit: 60, upTo: 75_000 } as const

const cases: [title: string, Path, Expected][] = [
  ...([false, true] as const).flatMap((loose): [string, Path, Expected][] => [
    [
      `a NAT that drops after 9 s, ${loose ? '' : 'not '}loose, from the client`,
      { ...nine, loose, answer: 'drop', side: 'client' },
      // A loose NAT takes the client's next segment for a new connection.
      loose ? { found: none } : { limit: 9_000, found: dropped },
    ],
    [
      `a NAT that drops after 9 s, ${loose ? '' : 'not '}loose, from the server`,
      { ...nine, loose, answer: 'drop', side: 'server' },
      { limit: 9_000, found: dropped },
    ],
    [
      `a NAT that resets after 9 s, ${loose ? '' : 'not '}loose, from the client`,
      { ...nine, loose, answer: 'reject', side: 'client' },
      loose ? { found: none } : { limit: 9_000, found: reset },
    ],
    [
      `a NAT that resets after 9 s, ${loose ? '' : 'not '}loose, from the server`,
      { ...nine, loose, answer: 'reject', side: 'server' },
      { limit: 9_000, found: reset },
    ],
  ]),
  [
    'a NAT that drops after 60 s, from the client',
    { ...sixty, loose: false, answer: 'drop', side: 'client' },
    { limit: 60_000, found: dropped },
  ],
  [
    'a NAT that drops after 60 s, loose, from the server',
    { ...sixty, loose: true, answer: 'drop', side: 'server' },
    { limit: 60_000, found: dropped },
  ],
  [
    'a NAT that resets after 60 s, from the client',
    { ...sixty, loose: false, answer: 'reject', side: 'client' },
    { limit: 60_000, found: reset },
  ],
  [
    'a NAT that resets after 60 s, from the server',
    { ...sixty, loose: false, answer: 'reject', side: 'server' },
    { limit: 60_000, found: reset },
  ],
  [
    'a NAT that drops after 9 s, with 5 % loss',
    { ...nine, loose: false, answer: 'drop', loss: 5, side: 'client' },
    { limit: 9_000, found: dropped },
  ],
  [
    'a NAT that drops after 60 s, with 5 % loss',
    { ...sixty, loose: false, answer: 'drop', loss: 5, side: 'client' },
    { limit: 60_000, found: dropped },
  ],
  ['no limit', { upTo: 12_000, side: 'client' }, { found: none }],
  ['no limit, with 5 % loss', { upTo: 12_000, loss: 5, side: 'client' }, { found: none }],
  [
    'a path that acknowledges no probe',
    { probesPass: 1, upTo: 12_000, side: 'client' },
    { found: { ...none, answersProbes: 'no' }, notes: ['probes-unacknowledged'] },
  ],
  [
    'a path that acknowledges no probe, and drops after 9 s',
    { ...nine, loose: false, answer: 'drop', probesPass: 1, side: 'client' },
    // The rule drops a probe after the NAT has seen it.
    { limit: 9_000, found: { ...dropped, answersProbes: 'no' }, notes: ['probes-unacknowledged'] },
  ],
  [
    'a path that acknowledges two probes and then none, and drops after 9 s',
    { ...nine, loose: false, answer: 'drop', probesPass: 3, side: 'client' },
    { limit: 9_000, found: { ...dropped, answersProbes: 'unreliable' }, notes: ['probes-unacknowledged'] },
  ],
  [
    'a server that closes after 20 s',
    { closeAfter: 20_000, upTo: 40_000, side: 'client' },
    {
      limit: 20_000,
      found: { onExpiry: 'close', expiredBy: 'peer', answersProbes: 'yes', probesCount: false },
      notes: ['closed-by-peer', 'probes-not-counted'],
    },
  ],
  [
    'a server that closes after 20 s, before a NAT that drops after 60 s',
    { ...sixty, loose: false, answer: 'drop', closeAfter: 20_000, side: 'client' },
    {
      limit: 20_000,
      found: { onExpiry: 'close', expiredBy: 'peer', answersProbes: 'yes', probesCount: false },
      notes: ['closed-by-peer', 'probes-not-counted'],
    },
  ],
]

describe.runIf(hasNamespaces && hasNat)('measure finds', () => {
  const outcomes = new Map<string, Outcome>()
  beforeAll(async () => {
    await Promise.all(
      cases.map(async ([title, { side, upTo, ...path }]) => {
        const options: MeasureOptions = { upTo }
        const output = await runInside('measured-path.mjs', 'run', JSON.stringify({ ...path, side, options }))
        outcomes.set(title, JSON.parse(output))
      }),
    )
    // Three passes over 60 s, and the time in which unacknowledged segments are retransmitted.
  }, 280_000)

  it.each(cases)('%s', (title, { side }, { limit, found, notes = [] }) => {
    const { result, ofServer, took, most } = outcomes.get(title)!
    const measured = ofServer ?? result
    expect(measured).toMatchObject({ side, complete: true })
    for (const [name, value] of Object.entries(found)) {
      expect({ [name]: measured[name as keyof MeasuredPath] }).toEqual({ [name]: value })
    }
    expect(measured.notes.map(({ code }) => code)).toEqual(notes)
    expect(most).toBeLessThanOrEqual(64)
    if (limit === undefined) return
    const { atLeast, atMost } = measured.idleLimit!
    const tolerance = Math.max(1_000, limit / 100)
    // Linux drops an entry at the tick after its timeout.
    expect(atLeast).toBeLessThanOrEqual(limit + 20)
    expect(atMost).toBeGreaterThanOrEqual(limit)
    expect(atMost - atLeast).toBeLessThanOrEqual(tolerance)
    expect(took).toBeLessThanOrEqual(4 * limit)
  })

  it('sends the result of the listening side to the client', () => {
    for (const { result, ofServer } of outcomes.values()) {
      if (ofServer) expect(result).toEqual(ofServer)
    }
  })
})

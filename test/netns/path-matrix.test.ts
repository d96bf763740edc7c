import { describe, expect, it } from 'vitest'
import { hasNamespaces, runInside } from '../support/network-namespace.js'
import { hasProbeFilter } from '../support/probe-filter.js'
import { latest } from '../support/tolerance.js'

interface Ending {
  /** Whether the connection still carried data at the end. */
  readonly isCarried: boolean
  /** `after` is null if it came before the path changed. */
  readonly death?: { readonly reason: string; readonly after: number | null }
  readonly suspicion?: { readonly path: string; readonly evidence: string }
  readonly result?: { readonly alive?: boolean | null; readonly evidence: string }
}

interface Cell {
  readonly path: string
  readonly means: string
  readonly endings: readonly Ending[]
}

/** Live peers, whose connections must carry data at the end, unless the table says otherwise. */
const alive = { isCarried: true }
const dead = (reason: string, within: number) => ({ isCarried: false, reason, within })

const silence = { alive: false, evidence: 'silence' }
const unproven = { evidence: 'unproven-path' }

/** What each means finds on each path. Times in ms since the path changed, or since data was written. */
const expected: Record<string, Record<string, object>> = {
  honest: {
    heartbeat: alive,
    'heartbeat, unproven: dead': alive,
    'heartbeat with confirm': alive,
    probe: { ...alive, result: { alive: true, evidence: 'ack' } },
    'deadpeer probe --kill': { ...alive, result: { alive: true } },
    'plan for a deaf hop': alive,
    keepalive: alive,
  },
  deaf: {
    heartbeat: { ...alive, suspicion: 'unproven' },
    // What the option is documented to do.
    'heartbeat, unproven: dead': dead('heartbeat', 0),
    'heartbeat with confirm': { ...alive, suspicion: 'deaf' },
    probe: { ...alive, result: unproven },
    'deadpeer probe --kill': { ...alive, result: { alive: null, evidence: 'unproven-path' } },
    'plan for a deaf hop': alive,
    // The owner's own keepalive ends it.
    keepalive: dead('keepalive', 4_000),
  },
  // Nothing but a confirmation can tell this path from a peer that is gone.
  'deaf later': {
    heartbeat: dead('heartbeat', 3_000),
    'heartbeat, unproven: dead': dead('heartbeat', 3_000),
    'heartbeat with confirm': { ...alive, suspicion: 'deaf' },
    probe: { ...alive, result: silence },
    'deadpeer probe --kill': { isCarried: false, result: { alive: false, evidence: 'silence' } },
    'plan for a deaf hop': alive,
    keepalive: dead('keepalive', 6_000),
  },
  gone: {
    heartbeat: dead('heartbeat', 3_000),
    'heartbeat, unproven: dead': dead('heartbeat', 3_000),
    'heartbeat with confirm': dead('heartbeat', 6_000),
    probe: { isCarried: false, result: silence },
    'deadpeer probe --kill': { isCarried: false, result: { alive: false, evidence: 'silence' } },
    'plan for a deaf hop': dead('user-timeout', 3_500),
    keepalive: dead('keepalive', 6_000),
  },
  'deaf, then gone': {
    // Without keepalive, only data shows that the peer is gone.
    heartbeat: { isCarried: false, suspicion: 'unproven' },
    'heartbeat, unproven: dead': dead('heartbeat', 0),
    'heartbeat with confirm': dead('heartbeat', 6_000),
    probe: { isCarried: false, result: unproven },
    'deadpeer probe --kill': { isCarried: false, result: { alive: null, evidence: 'unproven-path' } },
    'plan for a deaf hop': dead('user-timeout', 3_500),
    keepalive: dead('keepalive', 4_000),
  },
}

describe.runIf(hasNamespaces && hasProbeFilter)('each means to detect a dead peer', () => {
  let cells: readonly Cell[] | undefined
  const rows = Object.entries(expected).flatMap(([path, row]) =>
    Object.entries(row).map(([means, outcome]) => ({ path, means, outcome: outcome as Outcome })),
  )
  interface Outcome {
    readonly isCarried: boolean
    readonly reason?: string
    readonly within?: number
    readonly suspicion?: string
    readonly result?: object
  }

  it('has on each path the result that the documentation states', { timeout: 90_000 }, async () => {
    cells = JSON.parse(await runInside('path-matrix.mjs')) as Cell[]
    expect(cells).toHaveLength(rows.length)
    for (const { path, means, outcome } of rows) {
      const cell = cells.find((each) => each.path === path && each.means === means)!
      for (const { isCarried, death, suspicion, result } of cell.endings) {
        const name = `${means} on a path that is ${path}`
        expect({ isCarried, reason: death?.reason }, name).toEqual({
          isCarried: outcome.isCarried,
          reason: outcome.reason,
        })
        if (death && death.after !== null) expect(death.after, name).toBeLessThan(latest(outcome.within!))
        if (outcome.suspicion) expect(suspicion?.path, name).toBe(outcome.suspicion)
        if (outcome.result) expect(result, name).toMatchObject(outcome.result)
      }
    }
  })
})

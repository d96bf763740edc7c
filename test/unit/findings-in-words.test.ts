import http from 'node:http'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { explain, type Profile } from '../../src/index.js'
import { audit, type Finding, hops, type OwnHop, type Path, plan, timeline } from '../../src/path/index.js'
import { type ClientSettings, judgeClient, judgeConnection, judgeServer } from '../../src/path/judge.js'

// Whatever is judged, what is said of it is words and numbers: nothing that JavaScript has put in their place.

const seconds = (max: number) => fc.integer({ min: 1, max }).map((s) => s * 1_000)
const ms = fc.oneof(
  fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  seconds(100_000),
  fc.constant(Number.POSITIVE_INFINITY),
)
const hopTime = ms.filter((time) => time >= 100)
/** What a program may have left behind in its settings. */
const anything = fc.oneof(ms, fc.constantFrom(undefined, null, 0, -1, Number.NaN, '60s', {}, []))

const ownHop: fc.Arbitrary<OwnHop> = fc
  .record({
    name: fc.constantFrom('edge', 'nat', 'mesh'),
    idleTimeout: hopTime,
    upstreamTimeout: fc.option(hopTime, { nil: undefined }),
    layer: fc.constantFrom(4 as const, 7 as const),
  })
  .map(({ upstreamTimeout, ...hop }) => ({
    ...hop,
    ...(upstreamTimeout !== undefined && { upstreamTimeout }),
  }))
const path: fc.Arbitrary<Path> = fc.array(
  fc.oneof(ownHop, fc.constantFrom(...(Object.keys(hops) as (keyof typeof hops)[]))),
  { maxLength: 4 },
)

const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
const profile: fc.Arbitrary<Profile> = fc
  .record({
    enable: optional(fc.boolean()),
    initialDelay: optional(seconds(32_767)),
    interval: optional(seconds(32_767)),
    count: optional(fc.integer({ min: 1, max: 127 })),
    userTimeout: optional(fc.oneof(fc.constant(0), fc.integer({ min: 100, max: 2 ** 31 - 1 }))),
    rtoMax: optional(fc.integer({ min: 1_000, max: 120_000 })),
  })
  .map(defined)

function defined<T extends object>(values: T): Profile {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
}

const notWords = /undefined|NaN|Infinity|null|\[object|for never|for 0 ms|every 0 ms/

function checkFindings(findings: readonly Finding[]): void {
  for (const { message, change } of findings) {
    for (const text of [message, change]) {
      expect(text).toMatch(/^\S.*\.$/)
      expect(text).not.toMatch(notWords)
    }
  }
}

const runs = { numRuns: 2_000 }

describe('an audit in words', () => {
  it('says what to do about every finding of a connection', () => {
    fc.assert(
      fc.property(profile, path, (options, hops) => {
        checkFindings(judgeConnection(options, [...plan({ path: hops }).path]))
      }),
      runs,
    )
  })

  it('says what to do about every finding of an agent', () => {
    const options = fc.record({ timeout: anything, freeSocketTimeout: anything, socketActiveTTL: anything })
    fc.assert(
      fc.property(options, fc.boolean(), fc.boolean(), path, (given, keepAlive, isNodes, hops) => {
        const agent = isNodes
          ? Object.assign(new http.Agent({ keepAlive }), { options: { ...given, keepAlive } })
          : { sockets: {}, freeSockets: {}, options: { ...given, keepAlive } }
        checkFindings(audit(agent, hops))
      }),
      runs,
    )
  })

  it('says what to do about every finding of a dispatcher', () => {
    const options = fc.record({
      keepAliveTimeout: anything,
      keepAliveMaxTimeout: anything,
      pipelining: fc.constantFrom(undefined, 0, 1),
    })
    fc.assert(
      fc.property(options, path, (given, hops) => {
        checkFindings(audit({ dispatch: () => true, [Symbol('options')]: given }, hops))
      }),
      runs,
    )
  })

  it('says what to do about every finding of settings that were read', () => {
    const client: fc.Arbitrary<ClientSettings> = fc.record({
      setting: fc.constant('timeout of the agent'),
      freeSocketTimeout: fc.oneof(ms, fc.constant(0)),
      believes: fc.record({ setting: fc.constant('keepAliveMaxTimeout'), most: ms }),
    })
    fc.assert(
      fc.property(client, path, (settings, hops) => {
        checkFindings(judgeClient(settings, [...plan({ path: hops }).path]))
      }),
      runs,
    )
  })

  it('says what to do about every finding of an HTTP server', () => {
    const limit = fc.oneof(fc.integer({ min: 0, max: 2 ** 31 - 1 }), seconds(1_000), fc.constant(0))
    const settings = fc.record({
      keepAliveTimeout: limit,
      keepAliveTimeoutBuffer: fc.constantFrom(0, 1_000),
      headersTimeout: limit,
      requestTimeout: limit,
    })
    fc.assert(
      fc.property(settings, path, (read, hops) => {
        checkFindings(judgeServer(read, [...plan({ path: hops }).path]))
      }),
      runs,
    )
    fc.assert(
      fc.property(fc.record({ keepAliveTimeout: anything, timeout: anything }), path, (given, hops) => {
        checkFindings(audit(Object.assign(http.createServer(), given), hops))
      }),
      { numRuns: 300 },
    )
  })

  it('says everything of a plan, its drawing and a profile', () => {
    const wanted = fc.record({
      path,
      detectWithin: optional(fc.integer({ min: 100, max: 10_000_000 })),
      stall: optional(fc.integer({ min: 1, max: 10_000_000 })),
    })
    fc.assert(
      fc.property(wanted, profile, ({ path: hops, detectWithin, stall }, options) => {
        const made = plan({
          path: hops,
          ...(detectWithin !== undefined && { detectWithin }),
          ...(stall !== undefined && { traffic: { stall } }),
        })
        checkFindings(made.warnings)
        expect(timeline(made)).not.toMatch(/undefined|NaN|Infinity|\[object/)
        for (const { message } of explain(options)) expect(message).not.toMatch(notWords)
      }),
      { numRuns: 500 },
    )
  })
})

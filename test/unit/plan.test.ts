import http from 'node:http'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { detectionTime, explain, watch } from '../../src/index.js'
import { type HopName, hops, type OwnHop, plan } from '../../src/path/index.js'
import { judgeConnection } from '../../src/path/judge.js'
import { FASTEST_DETECTION, FIRST_RETRANSMISSION } from '../../src/path/timing.js'

const names = fc.constantFrom(...(Object.keys(hops) as HopName[]))
const ownHop = fc.record({
  name: fc.string({ minLength: 1 }).map((name) => `own ${name}`),
  // 3 s: what the kernel's whole seconds can be twice within.
  idleTimeout: fc.integer({ min: 3_000, max: 864_000_000 }),
  layer: fc.constantFrom(4 as const, 7 as const),
  answersProbes: fc.constantFrom('yes' as const, 'yes' as const, 'no' as const, 'unreliable' as const),
})
const path = fc.array(fc.oneof(names, ownHop), { maxLength: 6 })
const within = fc.integer({ min: 2_000, max: 3_600_000 })
const perhaps = <T>(what: fc.Arbitrary<T>) => fc.option(what, { nil: undefined })
const optional = (values: object) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))

describe('the constants that plans are computed with', () => {
  it('equal those of detectionTime', () => {
    expect(detectionTime({ userTimeout: 1_000 }).inFlight).toBe(1_000 + FIRST_RETRANSMISSION)
    const fastest = { initialDelay: 1_000, interval: 1_000, count: 1 }
    expect(detectionTime(fastest).idle).toBe(FASTEST_DETECTION)
  })
})

/** Timers are late by up to an eighth. */
const LATE = 9 / 8

describe('a plan for random paths', () => {
  const planned = fc
    .record({ path, detectWithin: perhaps(within) })
    .map(({ path: hopsOfPath, detectWithin }) => ({
      detectWithin,
      result: plan({ path: hopsOfPath, ...optional({ detectWithin }) }),
    }))

  it('sends two probes within the idle timeout of each layer-4 hop, even if the timers are late', () => {
    fc.assert(
      fc.property(planned, ({ result: { path: hopsOfPath, profile } }) => {
        for (const { layer, idleTimeout } of hopsOfPath) {
          if (layer !== 4 || !profile.enable) continue
          expect(profile.initialDelay).toBeLessThanOrEqual(idleTimeout / 2)
          expect((profile.initialDelay + profile.interval) * LATE).toBeLessThan(idleTimeout)
        }
      }),
    )
  })

  it('meets a detectWithin of 2 s or more', () => {
    fc.assert(
      fc.property(path, within, (hopsOfPath, detectWithin) => {
        const { detection, warnings, sendEvery } = plan({ path: hopsOfPath, detectWithin })
        if (sendEvery === undefined) expect(detection.idle).toBeLessThanOrEqual(detectWithin)
        // A peer that vanishes right after it has acknowledged data is noticed by the next data.
        expect((sendEvery ?? 0) + detection.inFlight).toBeLessThanOrEqual(detectWithin)
        expect(warnings).not.toContainEqual(
          expect.objectContaining({ code: 'detection-too-fast', severity: 'error' }),
        )
      }),
    )
  })

  it('reports the detection time of its profile, which is valid and reaches count', () => {
    fc.assert(
      fc.property(planned, ({ result: { detection, profile } }) => {
        expect(detection).toEqual(detectionTime(profile))
        if (!profile.enable) return
        expect(explain(profile).map(({ code }) => code)).toEqual(['ends-slow-reader'])
        expect(detection.idle).toBe(profile.initialDelay + profile.interval * profile.count)
      }),
    )
  })

  it('survives the loss of two probes with a detection time of at least 4 s', () => {
    fc.assert(
      fc.property(planned, ({ detectWithin = Number.POSITIVE_INFINITY, result: { profile, warnings } }) => {
        if (!profile.enable) return
        if (detectWithin >= 4_000) expect(profile.count).toBe(3)
        else expect(warnings).toContainEqual(expect.objectContaining({ code: 'few-probes' }))
      }),
    )
  })

  it('never lets an HTTP timeout decrease on the way to the server', () => {
    fc.assert(
      fc.property(planned, ({ result: { http: timeouts, warnings, path: hopsOfPath } }) => {
        const fixed = warnings.some(
          ({ code, severity }) => code === 'sender-outlasts-receiver' && severity === 'error',
        )
        if (fixed) return
        for (const { fromTimeout, toTimeout, slack } of timeouts.legs) {
          expect(toTimeout).toBeGreaterThanOrEqual(fromTimeout)
          if (Number.isFinite(fromTimeout)) expect(slack).toBe(toTimeout - fromTimeout)
        }
        const names = hopsOfPath.filter(({ protocol }) => protocol === 'http').map(({ name }) => name)
        expect(timeouts.legs.map(({ from }) => from)).toEqual(['client', ...names])
        expect(timeouts.legs.map(({ to }) => to)).toEqual([...names, 'server'])
        // With one timeout for both sides, client ≤ each ≤ server as a whole.
        if (hopsOfPath.some(({ upstream }) => upstream)) return
        const chain = timeouts.legs.flatMap(({ fromTimeout, toTimeout }) => [fromTimeout, toTimeout])
        expect(chain).toEqual(chain.toSorted((a, b) => a - b))
      }),
    )
  })

  it('leaves time for a close to arrive between the timeouts of two sides', () => {
    fc.assert(
      fc.property(planned, ({ result: { http: timeouts } }) => {
        const [first] = timeouts.legs
        const last = timeouts.legs.at(-1)!
        for (const { fromTimeout, toTimeout } of [first!, last]) {
          if (!Number.isFinite(fromTimeout) || !Number.isFinite(toTimeout)) continue
          expect(toTimeout - fromTimeout).toBeGreaterThanOrEqual(Math.min(5_000, Math.floor(toTimeout / 4)))
        }
      }),
    )
  })

  it('gives timeouts that Node accepts', () => {
    fc.assert(
      fc.property(planned, ({ result: { http: timeouts } }) => {
        expect(http.createServer(timeouts.server)).toMatchObject(timeouts.server)
        expect(timeouts.server.headersTimeout).toBeGreaterThan(timeouts.server.keepAliveTimeout)
      }),
      { numRuns: 20 },
    )
  })

  it('names the hop in every warning about a hop, and has no empty warning', () => {
    fc.assert(
      fc.property(planned, ({ result: { warnings } }) => {
        for (const { message, hop, change } of warnings) {
          if (hop) expect(message).toContain(hop)
          expect(message).toMatch(/\d|connection/)
          expect(change ?? 'nothing to do').toMatch(/\S/)
        }
      }),
    )
  })

  it('is the same for the same arguments, and does not change them', () => {
    fc.assert(
      fc.property(path, (hopsOfPath) => {
        const before = structuredClone(hopsOfPath)
        expect(plan({ path: hopsOfPath })).toEqual(plan({ path: hopsOfPath }))
        expect(hopsOfPath).toEqual(before)
      }),
      { numRuns: 20 },
    )
  })
})

describe('a plan for random paths with a hop that does not acknowledge all probes', () => {
  const deaf = fc
    .record({
      before: path,
      hop: ownHop,
      answersProbes: fc.constantFrom('no' as const, 'unreliable' as const),
    })
    .map(({ before, hop, answersProbes }) => [...before, { ...hop, answersProbes }])

  it('turns keepalive off, never suggests a heartbeat, and has data sent within every idle timeout at layer 4', () => {
    fc.assert(
      fc.property(deaf, perhaps(within), (hopsOfPath, detectWithin) => {
        const result = plan({ path: hopsOfPath, connections: 1_000, ...optional({ detectWithin }) })
        const { profile, sendEvery, detection, heartbeat, probesPerHour, load } = result
        expect(profile).toEqual({ enable: false, userTimeout: expect.any(Number) })
        expect(profile.userTimeout).toBeGreaterThanOrEqual(100)
        expect(detection).toEqual({ idle: Number.POSITIVE_INFINITY, inFlight: profile.userTimeout + 400 })
        expect(heartbeat).toBe(undefined)
        expect([probesPerHour, load?.probesPerSecond]).toEqual([0, 0])
        for (const { layer, idleTimeout } of result.path) {
          if (layer === 4) expect(sendEvery).toBeLessThanOrEqual(idleTimeout / 2)
        }
      }),
    )
  })

  it('has no error that a change of the profile could remove', () => {
    fc.assert(
      fc.property(deaf, (hopsOfPath) => {
        const { profile, path: resolved, warnings } = plan({ path: hopsOfPath })
        expect(warnings).toContainEqual(expect.objectContaining({ code: 'probes-not-answered' }))
        const found = judgeConnection(profile, resolved).filter(({ severity }) => severity === 'error')
        expect(found).toEqual([])
      }),
    )
  })
})

describe('a plan for paths that do not acknowledge all probes', () => {
  it('leaves the application to send data through AWS Global Accelerator', () => {
    const { profile, sendEvery, detection, warnings } = plan({
      path: ['aws-global-accelerator', 'aws-alb'],
      detectWithin: 30_000,
    })
    expect(profile).toEqual({ enable: false, userTimeout: 14_600 })
    expect([sendEvery, detection.inFlight]).toEqual([15_000, 15_000])
    expect(warnings[0]).toEqual({
      severity: 'warning',
      code: 'probes-not-answered',
      hop: 'aws-global-accelerator',
      message:
        'aws-global-accelerator acknowledges only some keepalive probes (acknowledges the first probes of an idle connection, and later none), although data passes. aws-global-accelerator drops a connection silently after 340 s without data. Keepalive would end connections to live peers. Without it, the kernel notices a dead peer only with data in flight.',
      change: 'Send data at least every 15 s: a ping of the protocol (HTTP/2, WebSocket) or a query.',
    })
  })

  it('sends as late as the path allows if no time is given', () => {
    expect(plan({ path: ['docker-desktop-mac'] })).toMatchObject({
      profile: { enable: false, userTimeout: 120_000 },
      sendEvery: 120_000,
    })
  })

  it.each([
    { detectWithin: 2_000, severity: 'warning', userTimeout: 600 },
    { detectWithin: 1_500, severity: 'error', userTimeout: 600 },
    { detectWithin: 4_000, severity: undefined, userTimeout: 2_600 },
  ])(
    'within $detectWithin ms has userTimeout $userTimeout and severity $severity',
    ({ detectWithin, severity, userTimeout }) => {
      const { profile, warnings } = plan({ path: ['docker-desktop-mac'], detectWithin })
      expect(profile.userTimeout).toBe(userTimeout)
      expect(warnings.find(({ code }) => code === 'detection-too-fast')?.severity).toBe(severity)
    },
  )

  it('sets no userTimeout if a live peer may stall for longer, and says so', () => {
    const { profile, warnings } = plan({ path: ['docker-desktop-mac'], traffic: { stall: 130_000 } })
    expect(profile).toEqual({ enable: false, userTimeout: 0 })
    expect(warnings[0]).toMatchObject({
      code: 'slow-reader',
      message: expect.stringContaining('a userTimeout of 120 s'),
    })
  })
})

describe('a plan for common paths', () => {
  it.each<{
    hops: readonly (HopName | OwnHop)[]
    detectWithin: number | undefined
    expected: object
  }>([
    {
      hops: ['aws-nlb', 'linux-conntrack'],
      detectWithin: 30_000,
      expected: { initialDelay: 15_000, interval: 5_000, count: 3, userTimeout: 29_600 },
    },
    {
      hops: ['gcp-passthrough-external'],
      detectWithin: undefined,
      expected: { initialDelay: 30_000, interval: 10_000, count: 3, userTimeout: 60_000 },
    },
    {
      hops: ['azure-lb'],
      detectWithin: undefined,
      expected: { initialDelay: 120_000, interval: 40_000, count: 3, userTimeout: 240_000 },
    },
    {
      hops: [],
      detectWithin: undefined,
      expected: { initialDelay: 120_000, interval: 40_000, count: 3, userTimeout: 240_000 },
    },
    {
      hops: [],
      detectWithin: 6_000,
      expected: { initialDelay: 3_000, interval: 1_000, count: 3, userTimeout: 5_600 },
    },
    {
      hops: [],
      detectWithin: 2_000,
      expected: { initialDelay: 1_000, interval: 1_000, count: 1, userTimeout: 1_600 },
    },
    {
      hops: [{ name: 'nat', idleTimeout: 3_000 }],
      detectWithin: undefined,
      expected: { initialDelay: 1_000, interval: 1_000, count: 3, userTimeout: 4_000 },
    },
  ])('for $hops within $detectWithin has the expected profile', ({ hops: path, detectWithin, expected }) => {
    const { profile } = plan({ path, ...optional({ detectWithin }) })
    expect(profile).toEqual({ enable: true, ...expected })
  })

  it("sets the timeout of a client below that of an AWS load balancer, and the server's above", () => {
    expect(plan({ path: ['aws-alb'] }).http).toEqual({
      freeSocketTimeout: 55_000,
      undici: { keepAliveTimeout: 55_000, keepAliveMaxTimeout: 55_000 },
      server: { keepAliveTimeout: 65_000, headersTimeout: 66_000, requestTimeout: 300_000 },
      legs: [
        { from: 'client', fromTimeout: 55_000, to: 'aws-alb', toTimeout: 60_000, slack: 5_000 },
        { from: 'aws-alb', fromTimeout: 60_000, to: 'server', toTimeout: 65_000, slack: 5_000 },
      ],
    })
  })

  it('raises the timeout of the side behind a proxy with a longer timeout, and reports it', () => {
    const { http: timeouts, warnings } = plan({ path: ['cloudflare', 'nginx'] })
    expect(timeouts.legs[1]).toEqual({
      from: 'cloudflare',
      fromTimeout: 900_000,
      to: 'nginx',
      toTimeout: 905_000,
      slack: 5_000,
    })
    expect(warnings).toContainEqual({
      severity: 'warning',
      code: 'raise-hop',
      hop: 'nginx',
      message:
        'cloudflare keeps connections to nginx idle for 15 min, but nginx closes them after 75 s. Some requests arrive on a connection that nginx is closing.',
      change: 'Set keepalive_timeout of nginx to 905 s.',
    })
  })

  it('lowers the timeout of a proxy if the side behind it cannot be raised', () => {
    const { http: timeouts, warnings } = plan({ path: ['envoy', 'cloudflare'] })
    expect(timeouts.legs[1]).toEqual({
      from: 'envoy',
      fromTimeout: 395_000,
      to: 'cloudflare',
      toTimeout: 400_000,
      slack: 5_000,
    })
    expect(
      warnings.find(({ hop, code }) => hop === 'envoy' && code === 'sender-outlasts-receiver')?.change,
    ).toBe('Set common_http_protocol_options.idle_timeout of envoy to 395 s.')
  })

  it('reports an error if neither side can be set', () => {
    const { warnings } = plan({ path: ['cloudflare', 'cloudflare'] })
    expect(warnings).toContainEqual(
      expect.objectContaining({ severity: 'error', code: 'sender-outlasts-receiver' }),
    )
  })

  it('says that probes end at a proxy, and do not keep its connection open', () => {
    const messages = plan({ path: ['aws-alb'] }).warnings.map(({ message }) => message)
    expect(messages).toEqual([
      'aws-alb closes a connection after 60 s without data. Keepalive probes do not count as data.',
      'aws-alb terminates TCP and opens a second connection. Keepalive probes aws-alb, not the host behind it.',
    ])
  })

  it('warns of hops with uncertain numbers', () => {
    expect(plan({ path: ['mobile-carrier'] }).warnings).toEqual([
      expect.objectContaining({
        code: 'hop-uncertain',
        hop: 'mobile-carrier',
        message: expect.stringContaining('5 min'),
      }),
    ])
  })

  it.each([
    { severity: 'error', code: 'forgets-before-probe', idleTimeout: 1_100 },
    { severity: 'warning', code: 'forgets-after-lost-probe', idleTimeout: 2_200 },
  ])(
    'reports a hop that forgets connections too soon for keepalive: $severity $code',
    ({ severity, code, idleTimeout }) => {
      expect(plan({ path: [{ name: 'sieve', idleTimeout }] }).warnings).toEqual([
        expect.objectContaining({
          severity,
          code,
          hop: 'sieve',
          message: expect.stringContaining(`${idleTimeout / 1000} s`),
        }),
      ])
    },
  )
})

describe('detectWithin', () => {
  it('below 2 s is an error that suggests a heartbeat, because the kernel is too slow', () => {
    const { warnings, heartbeat, detection } = plan({ path: [], detectWithin: 1_500 })
    expect(heartbeat).toEqual({ every: 1_000, timeout: 300, attempts: 1 })
    expect(detection.idle).toBe(2_000)
    expect(warnings).toEqual([
      {
        severity: 'error',
        code: 'detection-too-fast',
        message:
          'The kernel cannot notice a dead peer within 1.5 s: it counts in whole seconds and takes at least 2 s.',
        change: 'A heartbeat can: watch({ heartbeat: { every: 1000, timeout: 300, attempts: 1 } }).',
      },
    ])
  })

  it('below 1.4 s is an error that suggests a ping of the application', () => {
    const { warnings, heartbeat } = plan({ path: [], detectWithin: 1_399 })
    expect(heartbeat).toBeUndefined()
    expect(warnings[0]?.change).toBe('Use a ping of the application protocol.')
  })

  it('from 1.4 to 4 s gives a heartbeat with attempts that fit into it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1_400, max: 3_999 }), (detectWithin) => {
        const { every, timeout, attempts } = plan({ path: [], detectWithin }).heartbeat!
        expect(every).toBeGreaterThanOrEqual(1_000)
        const within = every + (attempts - 1) * 510 + timeout
        expect(every % 1_000).toBe(0)
        expect(within).toBeLessThanOrEqual(detectWithin - 100)
        expect(within).toBeGreaterThan(detectWithin - 100 - 1_000)
        watch({ heartbeat: { every, timeout, attempts } }).close()
      }),
    )
  })
})

describe('the traffic of a plan', () => {
  it('leaves no probes to send if it is more frequent than initialDelay', () => {
    expect(plan({ path: [], detectWithin: 30_000, traffic: { every: 10_000 } }).probesPerHour).toBe(0)
    expect(plan({ path: [], detectWithin: 30_000, traffic: { every: 20_000 } }).probesPerHour).toBe(240)
  })

  it('switches userTimeout off if it may stall for longer', () => {
    const { profile, warnings, detection } = plan({
      path: [],
      detectWithin: 30_000,
      traffic: { stall: 45_000 },
    })
    expect(profile.userTimeout).toBe(0)
    expect(detection).toEqual({ idle: 30_000, inFlight: 925_000 })
    expect(warnings).toEqual([
      expect.objectContaining({ code: 'slow-reader', message: expect.stringContaining('45 s') }),
    ])
    expect(plan({ path: [], detectWithin: 30_000, traffic: { stall: 20_000 } }).profile.userTimeout).toBe(
      29_600,
    )
  })

  it('includes probes, with 86 bytes for each probe and each acknowledgement', () => {
    const { load } = plan({ path: [], detectWithin: 30_000, connections: 50_000 })
    expect(load).toEqual({
      connections: 50_000,
      probesPerSecond: 50_000 / 15,
      bitsPerSecond: (50_000 / 15) * 2 * 86 * 8,
    })
  })
})

describe('a plan with bad options', () => {
  it.each<{ options: object | null; message: string; error: ErrorConstructor }>([
    {
      options: { path: [], detectWithin: -1 },
      message: 'detectWithin must be a finite time above 0; got -1 ms.',
      error: RangeError,
    },
    {
      options: { path: [], detectWithin: Number.POSITIVE_INFINITY },
      message: 'detectWithin must be a finite time above 0; got Infinity ms',
      error: RangeError,
    },
    {
      options: { path: [], detectWithin: Number.NaN },
      message: 'detectWithin must be a finite time above 0; got NaN',
      error: RangeError,
    },
    {
      options: { path: [], detectWithin: '30s' },
      message: "detectWithin must be a finite time above 0; got '30s', a string",
      error: TypeError,
    },
    { options: { path: [], detectWithin: '30s' }, message: 'Did you mean 30_000?', error: TypeError },
    {
      options: { path: [], detectWithin: 30 },
      message: 'detectWithin must not be a time below 100 ms',
      error: RangeError,
    },
    { options: { path: [], detectWithin: 30 }, message: 'Did you mean 30_000?', error: RangeError },
    {
      options: { path: [], traffic: { every: 0 } },
      message: 'traffic.every must be a finite time above 0; got 0 ms',
      error: RangeError,
    },
    {
      options: { path: [], traffic: { stall: -5 } },
      message: 'traffic.stall must be a finite time above 0; got -5 ms',
      error: RangeError,
    },
    { options: { path: [], traffic: 5 }, message: 'traffic must be an object', error: TypeError },
    {
      options: { path: [], connections: 0 },
      message: 'connections must be a whole number, 1 or greater; got 0.',
      error: RangeError,
    },
    {
      options: { path: [], connections: 1.5 },
      message: 'connections must be a whole number, 1 or greater; got 1.5',
      error: RangeError,
    },
    {
      options: { path: 'aws-nlb' },
      message: "path must be an array of hops such as ['aws-nlb']; got 'aws-nlb', a string.",
      error: TypeError,
    },
    { options: {}, message: 'path must be an array of hops', error: TypeError },
    {
      options: null,
      message: "The options of plan() must be an object such as { path: ['aws-nlb'] }; got null.",
      error: TypeError,
    },
  ])('is refused for $options: $message', ({ options, message, error }) => {
    expect(() => plan(options as never)).toThrow(error)
    expect(() => plan(options as never)).toThrow(message)
  })
})

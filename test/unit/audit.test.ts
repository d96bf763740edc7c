import http from 'node:http'
import https from 'node:https'
import KeepAliveAgent from 'agentkeepalive'
import { describe, expect, it, onTestFinished } from 'vitest'
import { HttpAgent, HttpsAgent } from '../../src/http/index.js'
import type { Profile } from '../../src/index.js'
import type { Hop } from '../../src/path/hop.js'
import {
  audit,
  type Finding,
  type HopName,
  hops,
  type OwnHop,
  type Path,
  plan,
} from '../../src/path/index.js'
import { judgeConnection } from '../../src/path/judge.js'

const words = (findings: readonly Finding[]) =>
  findings.map(({ severity, code, hop }) => [severity, code, ...(hop ? [hop] : [])].join(' '))

/** Of the timeouts alone: there is no connection to read. */
const withoutUnread = (findings: readonly Finding[]) => findings.filter(({ code }) => code !== 'not-read')

const balancer: OwnHop = { name: 'balancer', idleTimeout: 30_000, layer: 7 }

describe('the audit of a connection on a path that does not acknowledge all probes', () => {
  const cloud: Profile = {
    enable: true,
    initialDelay: 30_000,
    interval: 10_000,
    count: 3,
    userTimeout: 60_000,
  }
  const vpn = plan({ path: [{ name: 'vpn', idleTimeout: 60_000, answersProbes: 'no' }] }).path

  it('reports keepalive as an error, and names the time after which it ends an idle connection', () => {
    expect(judgeConnection(cloud, vpn)).toEqual([
      {
        severity: 'error',
        code: 'keepalive-on-deaf-path',
        hop: 'vpn',
        message:
          'vpn acknowledges no keepalive probe, although data passes. Keepalive is on, so the kernel ends a connection that is idle for 60 s, although its peer is alive.',
        change:
          'Set { enable: false, userTimeout: 30_000 }. Send data at least every 30 s: a ping of the protocol (HTTP/2, WebSocket) or a query.',
      },
    ])
  })

  it('does not ask for keepalive, nor for another time of the first probe', () => {
    expect(words(judgeConnection({ enable: false, userTimeout: 30_000 }, vpn))).toEqual([
      'warning probes-not-answered vpn',
    ])
    expect(words(judgeConnection({ ...cloud, initialDelay: 7_200_000 }, vpn))).toEqual([
      'error keepalive-on-deaf-path vpn',
    ])
  })

  it('asks for a userTimeout, which notices a dead peer with data in flight', () => {
    const [, finding] = judgeConnection({ enable: false, userTimeout: 0 }, vpn)
    expect(finding).toMatchObject({ code: 'in-flight-unbounded', change: 'Set userTimeout to 30_000.' })
  })

  it('says the same of a connection that has shown it, on a path without a known deaf hop', () => {
    const [finding] = judgeConnection(cloud, [], true)
    expect(finding).toMatchObject({
      severity: 'error',
      code: 'keepalive-on-deaf-path',
      message: expect.stringContaining('The path of this connection passes data and no keepalive probes.'),
    })
    expect(finding).not.toHaveProperty('hop')
    expect(words(judgeConnection({ enable: false, userTimeout: 30_000 }, [], true))).toEqual([
      'warning probes-not-answered',
    ])
  })
})

describe('the audit of an agent', () => {
  it('names the first hop if the agent keeps free connections for longer', () => {
    const agent = new http.Agent({ keepAlive: true, timeout: 60_000 })
    expect(audit(agent, [balancer])).toEqual([
      {
        severity: 'error',
        code: 'sender-outlasts-receiver',
        hop: 'balancer',
        message:
          'The client keeps free connections for 60 s, but balancer closes them after 30 s. A request sent at that moment fails with ECONNRESET.',
        change: 'Set timeout of the agent to 25 s.',
      },
    ])
  })

  it.each<{ options: http.AgentOptions & { freeSocketTimeout?: number }; expected: string[] }>([
    { options: { keepAlive: true }, expected: ['error sender-outlasts-receiver balancer'] },
    { options: { keepAlive: true, timeout: 25_000 }, expected: [] },
    {
      options: { keepAlive: true, timeout: 29_000 },
      expected: ['warning sender-outlasts-receiver balancer'],
    },
    // Node takes a freeSocketTimeout in silence, and does nothing with it.
    {
      options: { keepAlive: true, timeout: 60_000, freeSocketTimeout: 20_000 },
      expected: ['error sender-outlasts-receiver balancer'],
    },
    { options: { keepAlive: true, timeout: 20_000, freeSocketTimeout: 60_000 }, expected: [] },
    { options: { keepAlive: false }, expected: ['note no-reuse'] },
  ])('finds for $options: $expected', ({ options, expected }) => {
    expect(words(audit(new http.Agent(options), [balancer]))).toEqual(expected)
    expect(words(audit(new https.Agent(options), [balancer]))).toEqual(expected)
  })

  interface FreeOptions {
    freeSocketTimeout?: number
    timeout?: number
    socketActiveTTL?: number
  }
  const tooLong = ['error sender-outlasts-receiver balancer']

  describe.each<{ name: string; make: (options: FreeOptions) => http.Agent }>([
    { name: 'HttpAgent', make: (options) => new HttpAgent(options) },
    { name: 'HttpsAgent', make: (options) => new HttpsAgent(options) },
    { name: 'agentkeepalive', make: (options) => new KeepAliveAgent(options) },
    { name: 'agentkeepalive for HTTPS', make: (options) => new KeepAliveAgent.HttpsAgent(options) },
  ])('judges the freeSocketTimeout of $name, 4 s by default', ({ make }) => {
    it.each<{ options: FreeOptions; expected: string[] }>([
      { options: {}, expected: [] },
      { options: { freeSocketTimeout: 4_000 }, expected: [] },
      { options: { freeSocketTimeout: 4_000, timeout: 60_000 }, expected: [] },
      { options: { freeSocketTimeout: 60_000 }, expected: tooLong },
      { options: { freeSocketTimeout: 60_000, socketActiveTTL: 20_000 }, expected: [] },
      { options: { freeSocketTimeout: 0, timeout: 20_000 }, expected: [] },
      { options: { freeSocketTimeout: 0, timeout: 60_000 }, expected: tooLong },
    ])('with $options: $expected', ({ options, expected }) => {
      expect(words(audit(make(options), [balancer]))).toEqual(expected)
    })
  })

  it.each<{ name: string; make: (options: FreeOptions) => http.Agent; expected: string[] }>([
    { name: 'HttpAgent', make: (options) => new HttpAgent(options), expected: [] },
    { name: 'HttpsAgent', make: (options) => new HttpsAgent(options), expected: [] },
    // Where it has a freeSocketTimeout, its timeout is for connections in use.
    { name: 'agentkeepalive', make: (options) => new KeepAliveAgent(options), expected: tooLong },
    {
      name: 'agentkeepalive for HTTPS',
      make: (options) => new KeepAliveAgent.HttpsAgent(options),
      expected: tooLong,
    },
  ])('compares the timeout of $name with its freeSocketTimeout', ({ make, expected }) => {
    expect(words(audit(make({ freeSocketTimeout: 60_000, timeout: 20_000 }), [balancer]))).toEqual(expected)
  })

  it('names the timeout of an agent of deadpeer if that is the shorter', () => {
    const [finding] = audit(new HttpAgent({ freeSocketTimeout: 60_000, timeout: 40_000 }), [balancer])
    expect(finding?.change).toBe('Set timeout of the agent to 25 s.')
  })

  it('names the setting that limits an agent which keeps connections for as long as the server does', () => {
    expect(audit(new HttpAgent({ freeSocketTimeout: 0 }), ['aws-alb'])).toEqual([
      {
        severity: 'error',
        code: 'sender-outlasts-receiver',
        hop: 'aws-alb',
        message:
          'The client keeps free connections until the other side closes them, but aws-alb closes them after 60 s. A request sent at that moment fails with ECONNRESET.',
        change: 'Set freeSocketTimeout of the agent to 55 s.',
      },
    ])
  })

  it('finds nothing without a hop that understands HTTP', () => {
    expect(audit(new http.Agent({ keepAlive: true }), ['aws-nlb'])).toEqual([])
  })
})

describe('the audit of an undici dispatcher', () => {
  interface Undici {
    new (options?: object): { dispatch(): boolean; close(): Promise<void> }
  }
  const load = async () => {
    // It is made at the first request.
    await fetch('data:,')
    const global = globalThis as unknown as Record<symbol, { constructor: Undici } | undefined>
    // From Node 26 on, the first is for an undici of an older kind than Node's own, and leads to the second.
    const [first, second] = [1, 2].map((number) => global[Symbol.for(`undici.globalDispatcher.${number}`)])
    return (second ?? first)!.constructor
  }

  it.each<{ options: object | undefined; expected: string[] }>([
    { options: undefined, expected: ['note sender-outlasts-receiver balancer'] },
    { options: { keepAliveMaxTimeout: 25_000 }, expected: [] },
    { options: { keepAliveTimeout: 60_000 }, expected: ['error sender-outlasts-receiver balancer'] },
    {
      options: { keepAliveTimeout: 29_000, keepAliveMaxTimeout: 29_000 },
      expected: ['warning sender-outlasts-receiver balancer'],
    },
    { options: plan({ path: [balancer] }).http.undici, expected: [] },
    { options: { pipelining: 0, keepAliveMaxTimeout: 1_000 }, expected: ['note no-reuse'] },
  ])('finds for an Agent with $options: $expected', async ({ options, expected }) => {
    const Agent = await load()
    const agent = new Agent(options)
    onTestFinished(() => agent.close())
    expect(words(audit(agent, [balancer]))).toEqual(expected)
  })

  it('reads a client, which has its settings under other symbols', () => {
    const client = {
      dispatch: () => true,
      [Symbol('default keep alive timeout')]: 60_000,
      [Symbol('max keep alive timeout')]: 600_000,
    }
    expect(words(audit(client, [balancer]))).toEqual(['error sender-outlasts-receiver balancer'])
  })

  it('reports that a dispatcher does not expose its timeouts', () => {
    expect(audit({ dispatch: () => true }, [balancer])).toEqual([
      {
        severity: 'note',
        code: 'not-read',
        message: 'This dispatcher does not expose its timeouts, so its options were not checked.',
        change: 'Compare them with plan({ path }).http.undici.',
      },
    ])
  })
})

describe('the audit of an HTTP server', () => {
  it('names the last hop if the server closes connections before that hop does, which causes a 502', () => {
    expect(withoutUnread(audit(http.createServer(), ['aws-alb']))[0]).toEqual({
      severity: 'error',
      code: 'sender-outlasts-receiver',
      hop: 'aws-alb',
      message: expect.stringMatching(
        /^aws-alb keeps connections to the server idle for 60 s, but the server closes them after [56] s\. If aws-alb sends a request at that moment, its client gets a 502\.$/,
      ),
      change: 'Set server.keepAliveTimeout to 65 s.',
    })
  })

  it.each<{ options: http.ServerOptions; path: Path; expected: string[] }>([
    { options: { keepAliveTimeout: 120_000 }, path: [balancer], expected: [] },
    { options: { keepAliveTimeout: 120_000 }, path: ['aws-alb'], expected: [] },
    { options: { keepAliveTimeout: 0 }, path: ['aws-alb'], expected: [] },
    {
      options: { keepAliveTimeout: 61_000 },
      path: ['aws-alb'],
      expected: ['warning sender-outlasts-receiver aws-alb'],
    },
    { options: { keepAliveTimeout: 5_000 }, path: ['aws-nlb'], expected: [] },
    // Its own side towards the server counts.
    { options: { keepAliveTimeout: 66_000 }, path: ['nginx'], expected: [] },
    {
      options: { keepAliveTimeout: 650_000 },
      path: ['gcp-alb'],
      expected: ['warning server-refuses-opened-early gcp-alb'],
    },
    {
      options: { keepAliveTimeout: 120_000, headersTimeout: 20_000 },
      path: [balancer],
      expected: ['warning server-refuses-opened-early balancer'],
    },
    { options: plan({ path: ['gcp-alb'] }).http.server, path: ['gcp-alb'], expected: [] },
    {
      options: { keepAliveTimeout: 5_000 },
      path: [{ ...balancer, idleTimeout: Number.POSITIVE_INFINITY }],
      expected: ['error sender-outlasts-receiver balancer', 'warning server-refuses-opened-early balancer'],
    },
  ])('finds for $options behind $path: $expected', ({ options, path, expected }) => {
    expect(words(withoutUnread(audit(http.createServer(options), path)))).toEqual(expected)
  })
})

it('applies timeout to a server without keepAliveTimeout, if it has one', () => {
  const server = http.createServer({ keepAliveTimeout: 0 })
  server.timeout = 5_000
  expect(words(withoutUnread(audit(server, ['aws-alb'])))).toEqual(['error sender-outlasts-receiver aws-alb'])
  server.timeout = 0
  expect(words(withoutUnread(audit(server, ['aws-alb'])))).toEqual([])
})

describe('a hop that keeps connections forever', () => {
  const endless: OwnHop = { ...balancer, idleTimeout: Number.POSITIVE_INFINITY }

  it("is the hop whose timeout must change, not the server's", () => {
    const found = withoutUnread(audit(http.createServer({ keepAliveTimeout: 5_000 }), [endless]))
    expect(found.map(({ message }) => message)).toEqual([
      expect.stringMatching(
        /^balancer keeps connections to the server idle forever, but the server closes them/,
      ),
      expect.stringMatching(
        /^balancer keeps connections to the server idle forever\. If it opens a connection before it has a request/,
      ),
    ])
    for (const { change } of found) {
      expect(change).toMatch(/^Set the idle timeout of balancer to less than \d+ s\.$/)
    }
  })
})

describe('a hop with uncertain numbers', () => {
  const [guess] = Object.values(hops).filter(({ certainty }) => certainty === 'uncertain')

  it('is uncertain as in the catalogue, and certain once its setting is given', () => {
    const { name, idleTimeout } = guess!
    const codes = (path: Path) => plan({ path }).warnings.map(({ code }) => code)
    expect(codes([name as HopName])).toContain('hop-uncertain')
    const [, most] = guess!.range ?? [0, idleTimeout]
    if (most > idleTimeout) expect(codes([{ name, idleTimeout: most }])).not.toContain('hop-uncertain')
  })
})

describe('an audit of a plan that was followed', () => {
  it.each<HopName>(['aws-alb', 'aws-clb', 'gcp-alb', 'nginx', 'haproxy', 'envoy', 'traefik', 'cloudflare'])(
    'finds nothing behind %s',
    (name) => {
      const { http: timeouts } = plan({ path: [name] })
      expect(withoutUnread(audit(http.createServer(timeouts.server), [name]))).toEqual([])
      const agent = new http.Agent({ keepAlive: true, timeout: timeouts.freeSocketTimeout })
      expect(audit(agent, [name])).toEqual([])
    },
  )
})

describe('the audit of a connection', () => {
  const judge = (profile: Profile, path: Path) => judgeConnection(profile, plan({ path }).path as Hop[])
  const nat: OwnHop = { name: 'nat', idleTimeout: 350_000 }

  it("names the NAT that forgets after 350 s beside the system's 7200 s", () => {
    const found = judge(
      { enable: true, initialDelay: 7_200_000, interval: 75_000, count: 9, userTimeout: 0 },
      [nat],
    )
    expect(found[0]).toEqual({
      severity: 'error',
      code: 'forgets-before-probe',
      hop: 'nat',
      message:
        'nat drops a connection silently after 350 s without traffic. The first probe, after 2 h, is too late.',
      change: 'Set initialDelay to 120 s or less, and interval to 87 s or less.',
    })
  })

  it.each<{ profile: Profile; path: Path; expected: string[] }>([
    { profile: { enable: false }, path: [nat], expected: ['error keepalive-off nat'] },
    { profile: { enable: false }, path: [], expected: ['error keepalive-off'] },
    {
      profile: { enable: true, initialDelay: 300_000, interval: 75_000, count: 3, userTimeout: 525_000 },
      path: [nat],
      expected: ['warning forgets-after-lost-probe nat'],
    },
    // A camera's: 2 h, and one probe.
    {
      profile: { enable: true, initialDelay: 7_200_000, interval: 5_000, count: 1, userTimeout: 20_000 },
      path: [],
      expected: ['warning detection-too-slow'],
    },
    {
      profile: { enable: true, initialDelay: 7_200_000, interval: 75_000, count: 9, userTimeout: 0 },
      path: [],
      expected: ['warning detection-too-slow', 'warning in-flight-unbounded'],
    },
    // Timers are late by up to an eighth.
    {
      profile: { enable: true, initialDelay: 312_000, interval: 1_000, count: 3, userTimeout: 315_000 },
      path: [nat],
      expected: ['error forgets-before-probe nat'],
    },
    {
      profile: { enable: true, initialDelay: 100_000, interval: 10_000, count: 3, userTimeout: 130_000 },
      path: [nat],
      expected: [],
    },
    {
      profile: { enable: true, initialDelay: 100_000, interval: 10_000, count: 3 },
      path: [nat],
      expected: ['warning in-flight-unbounded'],
    },
    {
      profile: { enable: true, initialDelay: 100_000, interval: 10_000, count: 5, userTimeout: 105_000 },
      path: [nat],
      expected: ['warning profile'],
    },
    {
      profile: { enable: true, initialDelay: 100_000, interval: 10_000, count: 3, userTimeout: 130_000 },
      path: ['haproxy-tcp'],
      expected: ['warning probes-not-counted haproxy-tcp', 'note proxy-behind haproxy-tcp'],
    },
    { profile: { ...plan({ path: [nat] }).profile }, path: [nat], expected: [] },
  ])('finds for $profile behind $path: $expected', ({ profile, path, expected }) => {
    expect(words(judge(profile, path))).toEqual(expected)
  })
})

it.each([{ live: null }, { live: 'aws-nlb' }, { live: {} }, { live: () => {} }])(
  'refuses to audit $live',
  ({ live }) => {
    expect(() => audit(live as never, ['aws-nlb'])).toThrow(TypeError)
  },
)

it('refuses an unknown hop before it reads anything', () => {
  expect(() => audit({} as never, ['aws-nbl' as never])).toThrow(/Did you mean aws-nlb/)
})

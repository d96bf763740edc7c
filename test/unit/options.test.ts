import net from 'node:net'
import { Registry } from 'prom-client'
import { afterAll, describe, expect, it } from 'vitest'
import * as host from '../../src/host/index.js'
import * as http from '../../src/http/index.js'
import * as deadpeer from '../../src/index.js'
import * as metrics from '../../src/metrics/index.js'
import * as netKeepalive from '../../src/net-keepalive.js'
import * as planning from '../../src/path/index.js'
import * as testing from '../../src/testing/index.js'
import * as undici from '../../src/undici/index.js'

// Every options object of the public API refuses names that it does not know.

const watcher = deadpeer.watch()
afterAll(() => watcher.close())
const unconnected = new net.Socket()
const record = {
  local: { address: '127.0.0.1', port: 1 },
  remote: { address: '127.0.0.1', port: 2 },
  cookie: 1n,
}

interface Row {
  /** As it is exported, and what of it takes the options where that is not said by its name. */
  readonly of: string
  readonly call: (options: never) => unknown
  /** A misspelled or otherwise wrong option. */
  readonly wrong: object
  readonly field: string
  /** What is suggested. */
  readonly meant: string
}

const rows: readonly Row[] = [
  {
    of: 'tune',
    call: (options) => deadpeer.tune(unconnected, 'lan', options),
    wrong: { bestEfort: true },
    field: 'bestEfort',
    meant: 'bestEffort',
  },
  {
    of: 'tune: profile',
    call: (profile) => deadpeer.tune(unconnected, profile),
    wrong: { keepIdle: 10_000 },
    field: 'keepIdle',
    meant: 'initialDelay',
  },
  {
    of: 'tuneAll',
    call: (options) => deadpeer.tuneAll([], 'lan', options),
    wrong: { besteffort: true },
    field: 'besteffort',
    meant: 'bestEffort',
  },
  {
    of: 'probe',
    // It would wait for a socket that may still connect.
    call: (options) => deadpeer.probe(new net.Socket().destroy(), options),
    wrong: { atempts: 1 },
    field: 'atempts',
    meant: 'attempts',
  },
  {
    of: 'probeAll',
    call: (options) => deadpeer.probeAll([], options),
    wrong: { onanswer: () => {} },
    field: 'onanswer',
    meant: 'onAnswer',
  },
  {
    of: 'retryStale',
    call: (options) => http.retryStale(() => {}, options),
    wrong: { method: 'GET', idempotencykey: 'a' },
    field: 'idempotencykey',
    meant: 'idempotencyKey',
  },
  {
    of: 'watch',
    call: (options) => deadpeer.watch(options),
    wrong: { onDeath: 'report' },
    field: 'onDeath',
    meant: 'onDead',
  },
  {
    of: 'watch: heartbeat',
    call: (heartbeat) => deadpeer.watch({ heartbeat }),
    wrong: { every: 5_000, retries: 3 },
    field: 'retries',
    meant: 'attempts',
  },
  {
    of: 'Watcher.add',
    call: (options) => watcher.add(unconnected, options),
    wrong: { heartBeat: false },
    field: 'heartBeat',
    meant: 'heartbeat',
  },
  {
    of: 'measure',
    call: (options) => planning.measure(options),
    wrong: { upto: 60_000, host: '127.0.0.1', port: 7 },
    field: 'upto',
    meant: 'upTo',
  },
  {
    of: 'plan',
    call: (options) => deadpeer.plan(options),
    wrong: { within: 30_000, path: ['aws-nlb'] },
    field: 'within',
    meant: 'detectWithin',
  },
  {
    of: 'plan: traffic',
    call: (traffic) => deadpeer.plan({ path: [], traffic }),
    wrong: { stalls: 1_000 },
    field: 'traffic.stalls',
    meant: 'stall',
  },
  {
    of: 'plan: path',
    call: (hop) => deadpeer.plan({ path: [hop] }),
    wrong: { name: 'nat', idleTimeout: 350_000, upstreamtimeout: 1_000 },
    field: 'upstreamtimeout',
    meant: 'upstreamTimeout',
  },
  {
    of: 'audit: path',
    call: (hop) => planning.audit(unconnected, [hop]),
    wrong: { name: 'nat', idletimeout: 350_000 },
    field: 'idletimeout',
    meant: 'idleTimeout',
  },
  {
    of: 'timeline',
    call: (options) => planning.timeline('lan', options),
    wrong: { titel: 'lan' },
    field: 'titel',
    meant: 'title',
  },
  {
    of: 'detectionTime',
    call: (options) => deadpeer.detectionTime('lan', options),
    wrong: { RTT: 5 },
    field: 'RTT',
    meant: 'rtt',
  },
  {
    of: 'detectionTime: defaults',
    call: (defaults) => deadpeer.detectionTime('lan', { defaults }),
    wrong: { tcp_retries2: 5 },
    field: 'defaults.tcp_retries2',
    meant: 'retries2',
  },
  {
    of: 'defineProfile',
    call: (profile) => deadpeer.defineProfile(profile),
    wrong: { interval_: 1_000 },
    field: 'interval_',
    meant: 'interval',
  },
  {
    of: 'explain',
    call: (profile) => deadpeer.explain(profile),
    wrong: { usertimeout: 1_000 },
    field: 'usertimeout',
    meant: 'userTimeout',
  },
  {
    of: 'listSockets',
    call: (filter) => host.listSockets(filter),
    wrong: { localport: 80 },
    field: 'localport',
    meant: 'localPort',
  },
  {
    of: 'readCounters',
    call: (options) => host.readCounters(options),
    wrong: { PID: 1 },
    field: 'PID',
    meant: 'pid',
  },
  {
    of: 'readDefaults',
    call: (options) => host.readDefaults(options),
    wrong: { pids: 1 },
    field: 'pids',
    meant: 'pid',
  },
  {
    of: 'destroySocket',
    call: (options) => host.destroySocket(record, options),
    wrong: { piid: 1 },
    field: 'piid',
    meant: 'pid',
  },
  {
    of: 'equalsDefault',
    call: (defaults) => host.equalsDefault({ interval: 75_000 }, defaults),
    wrong: { intervall: 75_000 },
    field: 'intervall',
    meant: 'interval',
  },
  {
    of: 'HttpAgent',
    call: (options) => new http.HttpAgent(options),
    wrong: { freeSocketTimout: 4_000 },
    field: 'freeSocketTimout',
    meant: 'freeSocketTimeout',
  },
  {
    of: 'HttpAgent: Node’s options',
    call: (options) => new http.HttpAgent(options),
    wrong: { maxSocket: 4 },
    field: 'maxSocket',
    meant: 'maxSockets',
  },
  {
    of: 'HttpAgent: agentkeepalive’s old names',
    call: (options) => new http.HttpAgent(options),
    wrong: { freeSocketKeepAliveTimeout: 4_000 },
    field: 'freeSocketKeepAliveTimeout',
    meant: 'freeSocketTimeout',
  },
  {
    of: 'HttpsAgent',
    call: (options) => new http.HttpsAgent(options),
    wrong: { watcher },
    field: 'watcher',
    meant: 'watch',
  },
  {
    of: 'HttpsAgent: watch',
    call: (watch) => new http.HttpsAgent({ watch }),
    wrong: { ondead: 'report' },
    field: 'ondead',
    meant: 'onDead',
  },
  {
    of: 'createAgent',
    call: (options) => undici.createAgent(options),
    wrong: { retrystale: true },
    field: 'retrystale',
    meant: 'retryStale',
  },
  {
    of: 'createAgent: undici’s options',
    call: (options) => undici.createAgent(options),
    wrong: { keepAliveTimeot: 4_000 },
    field: 'keepAliveTimeot',
    meant: 'keepAliveTimeout',
  },
  {
    of: 'HttpAgent: fields of a profile',
    call: (options) => new http.HttpAgent(options),
    wrong: { interval: 5_000 },
    field: 'interval',
    meant: 'profile',
  },
  {
    of: 'createAgent: options of HttpAgent',
    call: (options) => undici.createAgent(options),
    wrong: { freeSocketTimeout: 4_000 },
    field: 'freeSocketTimeout',
    meant: 'keepAliveTimeout',
  },
  {
    of: "tune: profile, as Node's setKeepAlive has it",
    call: (profile) => deadpeer.tune(unconnected, profile),
    wrong: { keepAliveInitialDelay: 10_000 },
    field: 'keepAliveInitialDelay',
    meant: 'initialDelay',
  },
  {
    of: "tune: profile, as Node's agents have it",
    call: (profile) => deadpeer.tune(unconnected, profile),
    wrong: { keepAliveMsecs: 10_000 },
    field: 'keepAliveMsecs',
    meant: 'initialDelay',
  },
  {
    of: 'connector',
    call: (options) => undici.connector('lan', options),
    wrong: { timeOut: 1_000 },
    field: 'timeOut',
    meant: 'timeout',
  },
  {
    of: 'collectWatcher',
    call: (options) => metrics.collectWatcher(new Registry(), watcher, options),
    wrong: { suspicion: true },
    field: 'suspicion',
    meant: 'suspicions',
  },
  {
    of: 'collectAgent',
    call: (options) => metrics.collectAgent(new Registry(), new http.HttpAgent({ watch: false }), options),
    wrong: { names: 'a' },
    field: 'names',
    meant: 'name',
  },
  {
    of: 'blackHole',
    call: (options) => testing.blackHole(unconnected, options),
    wrong: { segment: 1 },
    field: 'segment',
    meant: 'segments',
  },
]

/** Their options are Node's or undici's as well, whose names are not all known. */
const mixed = new Set(['HttpAgent', 'HttpsAgent', 'createAgent', 'connector'])

/** Exported functions and classes that take no object of options. */
const without = [
  ...['capabilities', 'inspect', 'sampleTcpInfo'],
  ...['borrowSocket', 'diffCounters', 'livenessCounters', 'readSocketOwners'],
  ...['isStaleReuse', 'parseKeepAlive', 'collectCounters', 'deaf', 'lossy'],
  ...['PeerDeathError', 'DeadpeerError', 'InvalidTypeError', 'OutOfRangeError'],
  ...Object.keys(netKeepalive).filter((name) => name !== 'default'),
]

const errorOf = async (call: () => unknown) => {
  try {
    await call()
  } catch (error) {
    return error as Error & { code: string; field: string }
  }
  throw new Error('it was taken')
}

describe('an unknown name in an options object', () => {
  it.each(rows)(
    'is refused with the nearest known name by $of: $field',
    async ({ call, wrong, field, meant }) => {
      const error = await errorOf(() => call(wrong as never))
      expect(error).toBeInstanceOf(deadpeer.InvalidTypeError)
      expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE', field })
      expect(error.message).toMatch(
        new RegExp(`^Unknown (option|field|default) \`\\w+\` of .*Did you mean \`${meant}\`\\?$`),
      )
    },
  )

  const ours = rows.filter(({ of }) => !mixed.has(of.split(':')[0]!) || of.endsWith(': watch'))

  it.each(ours)(
    'gets an error with all names if it is similar to none: $of',
    async ({ call, wrong, meant }) => {
      const known = Object.entries(wrong).filter(([name]) =>
        ['name', 'idleTimeout', 'every', 'path'].includes(name),
      )
      const error = await errorOf(() => call({ ...Object.fromEntries(known), wjqx: 1 } as never))
      expect(error).toMatchObject({
        code: 'ERR_INVALID_ARG_TYPE',
        field: expect.stringMatching(/(^|\.)wjqx$/),
      })
      expect(error.message).toMatch(/ Its (only )?(option|field|default)s? (is|are) /)
      expect(error.message).toContain(`\`${meant}\``)
    },
  )

  it.each(ours)('counts as left out if its value is undefined: $of', async ({ call, wrong }) => {
    const nothing = Object.fromEntries(Object.keys(wrong).map((name) => [name, undefined]))
    const error = await errorOf(() => call(nothing as never)).catch(() => undefined)
    expect(error?.message ?? '').not.toMatch(/^Unknown/)
  })

  const notObjects = [null, 5, ['x'], () => {}, new Map(), new Date(), Promise.resolve({}), new Set()]
  it.each(ours.filter(({ of }) => !of.endsWith(': watch') && !of.endsWith(': path')))(
    'is not read from anything but an object: $of',
    async ({ call }) => {
      for (const value of notObjects) {
        const error = await errorOf(() => call(value as never))
        expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
        expect(error.message).toMatch(
          / must be an object such as \{ .* \}; got |^watch takes options\. Did you mean watch\(\)\.add\(/,
        )
      }
    },
  )

  it('is passed on if it may be an option of Node or undici', () => {
    const later = { wjqx: 1, createSocket: () => {} } as object
    expect(() => new http.HttpAgent({ ...later, watch: false })).not.toThrow()
    expect(() => new http.HttpsAgent({ ...later, watch: false })).not.toThrow()
    expect(() => undici.createAgent({ ...later, watch: false })).not.toThrow()
    expect(() => undici.connector('lan', later)).not.toThrow()
  })

  it('is tested for every exported function', () => {
    const entries = [deadpeer, host, http, metrics, netKeepalive, planning, testing, undici]
    const functions = entries.flatMap((entry) =>
      Object.entries(entry).flatMap(([name, value]) => (typeof value === 'function' ? [name] : [])),
    )
    const covered = rows.map(({ of }) => of.split(':')[0]!)
    expect(functions.filter((name) => !covered.includes(name) && !without.includes(name))).toEqual([])
    expect(without.filter((name) => !functions.includes(name))).toEqual([])
  })
})

describe('the options of an object', () => {
  it('are read once each, even if they are getters', async () => {
    let reads = 0
    const options = {
      get attempts() {
        reads++
        return reads === 1 ? 1 : -1
      },
    }
    await deadpeer.probe(new net.Socket().destroy(), options)
    expect(reads).toBe(1)
  })

  it.each<{ what: string; options: object }>([
    { what: 'a prototype', options: Object.create({ attempts: 0 }) },
    {
      what: 'a class',
      options: new (class {
        get attempts() {
          return 0
        }
      })(),
    },
  ])('are checked where they are inherited from $what', async ({ options }) => {
    const error = await errorOf(() => deadpeer.probe(new net.Socket().destroy(), options))
    expect(error).toMatchObject({ code: 'ERR_OUT_OF_RANGE', field: 'attempts' })
  })

  it('may be inherited, and may have methods beside them', () => {
    class Base {
      initialDelay = 7_000
    }
    function Old(this: { count: number }) {
      this.count = 4
    }
    Old.prototype.describe = () => 'mine'
    expect(deadpeer.defineProfile(Object.create(new Base()))).toEqual({ enable: true, initialDelay: 7_000 })
    expect(deadpeer.defineProfile(Reflect.construct(Old, []) as object)).toEqual({ enable: true, count: 4 })
    const inherited = Object.create({ wjqx: 1 })
    expect(() => deadpeer.defineProfile(inherited)).toThrow(/Unknown field `wjqx`/)
  })

  it('are copied: later changes of a nested object have no effect', async () => {
    let reads = 0
    const defaults = {
      get retries2() {
        reads++
        return 5
      },
    }
    expect(deadpeer.detectionTime({ enable: true }, { defaults }).inFlight).toBe(
      deadpeer.detectionTime({ enable: true }, { defaults: { retries2: 5 } }).inFlight,
    )
    expect(reads).toBe(1)
  })
})

describe('an option of this package in the wrong place', () => {
  it.each<{ call: () => unknown; field: string; message: RegExp }>([
    {
      call: () => new http.HttpAgent({ retryStale: true } as never),
      field: 'retryStale',
      message: /retryStale\(send, \{ method \}\)/,
    },
    {
      call: () => new http.HttpsAgent({ bestEffort: true } as never),
      field: 'bestEffort',
      message: /capabilities\(\)/,
    },
    {
      call: () => undici.createAgent({ bestEffort: true } as never),
      field: 'bestEffort',
      message: /capabilities\(\)/,
    },
    ...['yes', 'false', 5, null, [], new Map(), () => {}].flatMap((watch) => [
      {
        call: () => new http.HttpAgent({ watch } as never),
        field: 'watch',
        message: /^watch must be true, false, a watcher, or an object such as/,
      },
      {
        call: () => undici.createAgent({ watch } as never),
        field: 'watch',
        message: /^watch must be true, false, a watcher, or an object such as/,
      },
    ]),
    {
      call: () => new http.HttpAgent({ watch: net.createServer() } as never),
      field: 'options',
      message: /Did you mean watch\(\)\.add\(server\)\?/,
    },
    ...[null, [], true, 5, new Map()].flatMap((profile) => [
      {
        call: () => new http.HttpAgent({ profile } as never),
        field: 'profile',
        message: /^A profile must be an object such as/,
      },
      {
        call: () => undici.createAgent({ profile } as never),
        field: 'profile',
        message: /^A profile must be an object such as/,
      },
    ]),
  ])('is refused with what to do: $field, $message', async ({ call, field, message }) => {
    const error = await errorOf(call)
    expect(error).toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
      field,
      message: expect.stringMatching(message),
    })
  })
})

describe('a value that is not a profile', () => {
  it.each([undefined, null, 30_000, true])('is refused with the presets: %s', async (profile) => {
    const { message } = await errorOf(() => deadpeer.tune(unconnected, profile as never))
    expect(message).toMatch(
      /must be an object such as .*; got .*The presets are 'lan', 'datacenter', 'cloud'/,
    )
  })

  it.each([false, 'off'])('is refused with how to turn keepalive off: %s', async (profile) => {
    const { message } = await errorOf(() => deadpeer.tune(unconnected, profile as never))
    expect(message).toMatch(/To turn keepalive off, pass \{ enable: false \}\.$/)
  })
})

describe('a value of the wrong type or out of range', () => {
  it.each<{ of: string; call: () => unknown; error: object; message: RegExp }>([
    {
      of: 'tune',
      call: () => deadpeer.tune(unconnected, 'lan', { bestEffort: 'yes' as never }),
      error: { code: 'ERR_INVALID_ARG_TYPE', field: 'bestEffort' },
      message: /^bestEffort must be true or false; got 'yes', a string\.$/,
    },
    {
      of: 'timeline',
      call: () => planning.timeline('lan', { title: 5 as never }),
      error: { code: 'ERR_INVALID_ARG_TYPE', field: 'title' },
      message: /^title must be a text; got 5\.$/,
    },
    {
      of: 'detectionTime',
      call: () => deadpeer.detectionTime('lan', { rtt: Number.POSITIVE_INFINITY }),
      error: { code: 'ERR_OUT_OF_RANGE', field: 'rtt' },
      message: /^rtt must be a number, 0 or greater; got Infinity\.$/,
    },
    {
      of: 'plan',
      call: () => deadpeer.plan({ path: [], connections: 2 ** 53 }),
      error: { code: 'ERR_OUT_OF_RANGE', field: 'connections' },
      message: /^connections must be a whole number, 1 or greater; got 9007199254740992\.$/,
    },
  ])('is refused by $of: $message', async ({ call, error, message }) => {
    expect(await errorOf(call)).toMatchObject({ ...error, message: expect.stringMatching(message) })
  })
})

describe('a value in seconds instead of milliseconds', () => {
  it.each<{ call: () => unknown; field: string; message: RegExp }>([
    {
      call: () => deadpeer.defineProfile({ initialDelay: 30 }),
      field: 'initialDelay',
      message: /^initialDelay \(TCP_KEEPIDLE\) must be .*; got 30 ms\. Did you mean 30_000\?$/,
    },
    {
      call: () => deadpeer.defineProfile({ interval: 5 }),
      field: 'interval',
      message: /^interval \(TCP_KEEPINTVL\) must be .*; got 5 ms\. Did you mean 5_000\?$/,
    },
    {
      call: () => deadpeer.defineProfile({ rtoMax: 2 }),
      field: 'rtoMax',
      message: /^rtoMax \(TCP_RTO_MAX_MS\) must be .*; got 2 ms\. Did you mean 2_000\?$/,
    },
    {
      call: () => deadpeer.tune(unconnected, { userTimeout: 30 }),
      field: 'userTimeout',
      message:
        /^userTimeout \(TCP_USER_TIMEOUT\) must not be a time below 100 ms.*; got 30 ms\. Did you mean 30_000\?/,
    },
    {
      call: () => deadpeer.watch({ heartbeat: { every: 5 } }),
      field: 'every',
      message: /^every must be .*; got 5 ms\. Did you mean 5_000\?$/,
    },
    {
      call: () => deadpeer.plan({ path: [], detectWithin: 60 }),
      field: 'detectWithin',
      message: /^detectWithin must not be a time below 100 ms.*; got 60 ms\. Did you mean 60_000\?/,
    },
    {
      call: () => deadpeer.plan({ path: [{ name: 'nat', idleTimeout: 60 }] }),
      field: 'idleTimeout',
      message: /^idleTimeout of nat must not be a time below 100 ms.*; got 60 ms\. Did you mean 60_000\?/,
    },
    {
      call: () => planning.audit(unconnected, [{ name: 'aws-nlb', idleTimeout: 350 }]),
      field: 'idleTimeout',
      message: /^idleTimeout of aws-nlb must be .*; got 350 ms\. Did you mean 350_000\?$/,
    },
    ...['freeSocketTimeout', 'socketActiveTTL', 'timeout', 'keepAliveMsecs'].map((field) => ({
      call: () => new http.HttpAgent({ [field]: 30 }),
      field,
      message: new RegExp(`^${field} must not be a time below 100 ms.*; got 30 ms\\. Did you mean 30_000\\?`),
    })),
    ...['keepAliveTimeout', 'keepAliveMaxTimeout', 'headersTimeout', 'bodyTimeout', 'connectTimeout'].map(
      (field) => ({
        call: () => undici.createAgent({ [field]: 30 } as never),
        field,
        message: new RegExp(
          `^${field} must not be a time below 100 ms.*; got 30 ms\\. Did you mean 30_000\\?`,
        ),
      }),
    ),
    {
      call: () => deadpeer.defineProfile({ initialDelay: 999 }),
      field: 'initialDelay',
      message: /; got 999 ms\. Did you mean 1_000\?$/,
    },
  ])('is refused for $field: $message', async ({ call, field, message }) => {
    const error = await errorOf(call)
    expect(error).toBeInstanceOf(deadpeer.OutOfRangeError)
    expect(error).toMatchObject({ field, message: expect.stringMatching(message) })
  })

  it.each<{ value: string; meant: string }>([
    { value: '30s', meant: '30_000' },
    { value: '30', meant: '30_000' },
    { value: '30000', meant: '30_000' },
    { value: '1500ms', meant: '1_500' },
    { value: '0.5h', meant: '1_800_000' },
  ])('is answered with $meant for the text $value', async ({ value, meant }) => {
    const { message, code } = await errorOf(() => deadpeer.defineProfile({ userTimeout: value as never }))
    expect(code).toBe('ERR_INVALID_ARG_TYPE')
    expect(message).toMatch(new RegExp(` Did you mean ${meant}\\?$`))
  })

  it('is not refused for 0, which sets no limit in agents', () => {
    const none = { freeSocketTimeout: 0, socketActiveTTL: 0, timeout: 0, keepAliveMsecs: 0, watch: false }
    expect(() => new http.HttpAgent(none)).not.toThrow()
    expect(() => undici.createAgent({ headersTimeout: 0, bodyTimeout: 0, watch: false })).not.toThrow()
  })

  it('is refused without a suggestion if the value in seconds would not fit either', async () => {
    for (const profile of [
      { initialDelay: 0 },
      { initialDelay: -5 },
      { initialDelay: 1_500 },
      { rtoMax: 500 },
    ]) {
      const { message } = await errorOf(() => deadpeer.defineProfile(profile))
      expect(message).not.toContain('Did you mean')
    }
  })

  it.each([1, 30, 99])(
    'is refused for a userTimeout of %d ms, but not for 0 and 100',
    async (userTimeout) => {
      const refusals = [
        () => deadpeer.defineProfile({ userTimeout }),
        () => deadpeer.explain({ userTimeout }),
        () => deadpeer.detectionTime({ userTimeout }),
        () => planning.timeline({ userTimeout }),
        () => deadpeer.tuneAll([], { userTimeout }),
        () => new http.HttpAgent({ profile: { userTimeout }, watch: false }),
        () => undici.connector({ userTimeout }),
      ]
      for (const call of refusals) {
        expect(await errorOf(call)).toMatchObject({
          code: 'ERR_OUT_OF_RANGE',
          field: 'userTimeout',
          constant: 'TCP_USER_TIMEOUT',
        })
      }
      expect(deadpeer.defineProfile({ userTimeout: 0 })).toEqual({ userTimeout: 0 })
      expect(deadpeer.defineProfile({ userTimeout: 100 })).toEqual({ userTimeout: 100 })
    },
  )
})

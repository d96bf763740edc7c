import { once } from 'node:events'
import http from 'node:http'
import type net from 'node:net'
import { Worker } from 'node:worker_threads'
import { AggregatorRegistry, Gauge, type OpenMetricsContentType, Registry } from 'prom-client'
import { request } from 'undici'
import { afterAll, describe, expect, it } from 'vitest'
import { livenessCounters, readCounters } from '../../src/host/index.js'
import { HttpAgent } from '../../src/http/index.js'
import { watch } from '../../src/index.js'
import { collectAgent, collectCounters, collectWatcher } from '../../src/metrics/index.js'
import { blackHole } from '../../src/testing/index.js'
import { createAgent } from '../../src/undici/index.js'
import { connect, connectPair, listen } from '../support/connections.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { complaintsOfPromtool, Exposition, hasPromtool } from '../support/prometheus-exposition.js'
import { until } from '../support/until.js'

const scrape = async (registry: Registry) => new Exposition(await registry.metrics())

const closing: (() => void)[] = []
afterAll(() => {
  for (const close of closing) close()
})

/** A server that keeps its connections, but for those that ask for `/die`. */
async function site() {
  const peers: net.Socket[] = []
  const server = http.createServer(({ url, socket }, response) => {
    if (url === '/die') socket.destroy()
    else response.end('ok')
  })
  server.keepAliveTimeout = 0
  server.on('connection', (peer: net.Socket) => peers.push(peer.on('error', () => {})))
  const port = await listen(server, '0.0.0.0')
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  async function get(agent: http.Agent, path = '/', host = '127.0.0.1', at = port): Promise<void> {
    const request = http.get({ host, port: at, path, agent }).on('error', () => {})
    request.on('response', (response) => response.resume())
    await new Promise((resolve) => request.once('close', resolve))
  }
  return { port, peers, get }
}

function agentOf(): HttpAgent {
  const agent = new HttpAgent({ freeSocketTimeout: 0 })
  closing.push(() => agent.destroy())
  return agent
}

describe('metrics of a watcher', () => {
  it('count a death in the right series at the next scrape, and in no other', async () => {
    const registry = new Registry()
    const watcher = watch()
    collectWatcher(registry, watcher, { name: 'devices' })
    const pairs = await connect(4)
    watcher.add(pairs.map(({ socket }) => socket))
    const before = await scrape(registry)
    expect(before.value('deadpeer_watcher_connections', { watcher: 'devices' })).toBe(4)
    expect(before.sum('deadpeer_watcher_deaths_total')).toBe(0)
    pairs[0]!.peer.resetAndDestroy()
    await once(watcher, 'dead')
    pairs[1]!.socket.destroy()
    await once(pairs[1]!.socket, 'close')
    watcher.delete(pairs[2]!.socket)
    const after = await scrape(registry)
    const changed = [...after.series].filter(([key, value]) => before.series.get(key) !== value)
    expect(Object.fromEntries(changed)).toEqual({
      'deadpeer_watcher_connections{watcher="devices"}': 1,
      'deadpeer_watcher_connections_closed_total{watcher="devices"}': 1,
      'deadpeer_watcher_connections_removed_total{watcher="devices"}': 1,
      'deadpeer_watcher_deaths_total{reason="reset",watcher="devices"}': 1,
      'deadpeer_watcher_death_silence_seconds_total{watcher="devices"}': expect.any(Number),
    })
    // All there are, from the first scrape on: a counter that begins with 1 is not seen to rise.
    expect([...before.valuesOf('reason')].sort()).toEqual(
      ['heartbeat', 'keepalive', 'reset', 'retransmission', 'unreachable', 'user-timeout'].sort(),
    )
    watcher.close()
  })

  it.runIf(hasNetAdmin)(
    'go by the reason that the watcher gives, suspicions and recoveries included',
    async () => {
      const registry = new Registry()
      const watcher = watch({ heartbeat: { every: 1_000, attempts: 2 } })
      collectWatcher(registry, watcher, { suspicions: true })
      const [{ socket, peer }, other] = [await connectPair(), await connectPair()]
      watcher.add([socket, other.socket])
      using _silent = blackHole(peer)
      const passing = blackHole(other.peer)
      watcher.on('suspect', ({ socket }) => socket === other.socket && passing.restore())
      const [[death]] = await Promise.all([once(watcher, 'dead'), once(watcher, 'recover')])
      expect(death.socket).toBe(socket)
      const told = await scrape(registry)
      const seen = (name: string, labels = {}) =>
        told.value(`deadpeer_watcher_${name}`, { watcher: 'default', ...labels })
      expect(seen('suspicions_total')).toBe(2)
      expect(seen('recoveries_total')).toBe(1)
      expect(seen('deaths_total', { reason: 'heartbeat' })).toBe(1)
      expect(told.sum('deadpeer_watcher_deaths_total')).toBe(1)
      // Of silence it takes a second until the first question.
      expect(seen('death_silence_seconds_total')).toBeGreaterThan(1)
      expect(seen('death_silence_seconds_total')).toBeLessThan(60)
      watcher.close()
    },
  )

  it('do not sample connections for suspicions without a listener', async () => {
    const registry = new Registry()
    const watcher = watch()
    const stop = collectWatcher(registry, watcher)
    expect(watcher.listenerCount('suspect') + watcher.listenerCount('recover')).toBe(0)
    const told = await scrape(registry)
    expect(told.value('deadpeer_watcher_suspicions_total', { watcher: 'default' })).toBeUndefined()
    stop()
    expect(watcher.listenerCount('dead')).toBe(0)
    watcher.close()
  })
})

describe('metrics of an agent', () => {
  it('equal its statistics', async () => {
    const registry = new Registry()
    const { get, peers } = await site()
    const agent = agentOf()
    collectAgent(registry, agent, { name: 'payments' })
    for (let i = 0; i < 3; i++) await get(agent)
    await get(agent, '/die')
    await get(agent)
    peers.at(-1)!.resetAndDestroy()
    await until(() => agent.snapshot().total.reset === 1)
    await get(agent, '/', '127.0.0.1', 1)
    await get(agent)

    const told = await scrape(registry)
    const { total } = agent.snapshot()
    const value = (name: string, more = {}) =>
      told.value(`deadpeer_agent_${name}`, { agent: 'payments', ...more })
    expect({
      open: value('connections'),
      opened: value('connections_opened_total'),
      closedByPeer: value('connections_closed_total', { by: 'peer' }),
      closedByUs: value('connections_closed_total', { by: 'us' }),
      reset: value('connection_resets_total'),
      timedOut: value('connection_timeouts_total'),
      failedToOpen: value('connection_failures_total'),
      requests: value('requests_total'),
      reusedRequests: value('reused_requests_total'),
      reuseRatio: value('reuse_ratio'),
      staleReusesAvoided: value('stale_reuses_avoided_total'),
      staleReuses: value('stale_reuses_total'),
      retried: value('retried_requests_total'),
      failedRequests: value('failed_requests_total'),
    }).toEqual(total)
    expect(total).toMatchObject({ requests: 7, opened: 3, open: 1, reset: 1, failedToOpen: 1 })
    expect(total.reuseRatio).toBeCloseTo(3 / 7)
  })

  it('have the same names for an agent of undici', async () => {
    const registry = new Registry()
    const { port } = await site()
    const dispatcher = createAgent({ connections: 1 })
    closing.push(() => void dispatcher.destroy())
    collectAgent(registry, dispatcher, { name: 'fetch' })
    collectAgent(registry, agentOf(), { name: 'http' })
    for (let i = 0; i < 3; i++) {
      const { body } = await request(`http://127.0.0.1:${port}/`, { dispatcher })
      await body.text()
    }
    const told = await scrape(registry)
    const value = (name: string) => told.value(`deadpeer_agent_${name}`, { agent: 'fetch' })
    expect(value('requests_total')).toBe(3)
    expect(value('reused_requests_total')).toBe(2)
    expect(value('reuse_ratio')).toBeCloseTo(2 / 3)
    expect(value('connections')).toBe(1)
    const namesOf = (agent: string) =>
      [...told.series.keys()]
        .filter((key) => key.includes(`agent="${agent}"`))
        .map((key) => key.replace(agent, ''))
    expect(namesOf('fetch')).toEqual(namesOf('http'))
  })

  it.runIf(hasNetAdmin)('count an abandoned connection as a timeout, not as a reset', async () => {
    const registry = new Registry()
    const { get, peers } = await site()
    const agent = new HttpAgent({
      freeSocketTimeout: 0,
      profile: { initialDelay: 1_000, interval: 1_000, count: 1 },
    })
    closing.push(() => agent.destroy())
    collectAgent(registry, agent)
    await get(agent)
    using _hole = blackHole(peers[0]!)
    await until(() => agent.snapshot().total.open === 0)
    const told = await scrape(registry)
    expect(told.value('deadpeer_agent_connection_timeouts_total', { agent: 'default' })).toBe(1)
    expect(told.value('deadpeer_agent_connection_resets_total', { agent: 'default' })).toBe(0)
  })

  it('have as many series after a thousand origins as after one', async () => {
    const registry = new Registry()
    const { get } = await site()
    const agent = agentOf()
    collectAgent(registry, agent)
    await get(agent)
    const before = await scrape(registry)
    for (let i = 2; i <= 1_001; i += 50) {
      const hosts = Array.from({ length: 50 }, (_, j) => `127.0.${(i + j) >> 8}.${(i + j) & 255}`)
      await Promise.all(hosts.map((host) => get(agent, '/', host)))
      agent.destroy()
    }
    const after = await scrape(registry)
    expect(Object.keys(agent.snapshot().origins).length).toBeGreaterThan(900)
    expect([...after.series.keys()]).toEqual([...before.series.keys()])
    expect(after.value('deadpeer_agent_requests_total', { agent: 'default' })).toBeGreaterThan(900)
  })
})

describe('metrics of the host', () => {
  it('equal readCounters', async () => {
    const registry = new Registry()
    collectCounters(registry)
    const before = livenessCounters(readCounters())
    const told = await scrape(registry)
    const after = livenessCounters(readCounters())
    expect(told.series.size).toBe(Object.values(before).filter((value) => value !== undefined).length)
    const resets = told.value('deadpeer_host_resets_sent_total')!
    expect(resets).toBeGreaterThanOrEqual(before.resetsSent!)
    expect(resets).toBeLessThanOrEqual(after.resetsSent!)
  })
})

describe('one registry', () => {
  it('has several watchers and agents, each with its own numbers, beside the program’s own metrics', async () => {
    const registry = new Registry()
    const own = new Gauge({ name: 'own', help: 'Of the program.', registers: [registry] })
    own.set(5)
    const watchers = [watch(), watch(), watch()]
    const { get } = await site()
    const agents = [agentOf(), agentOf()]
    watchers.forEach((watcher, i) => {
      collectWatcher(registry, watcher, { name: `w${i}` })
    })
    agents.forEach((agent, i) => {
      collectAgent(registry, agent, { name: `a${i}` })
    })
    const pairs = await connect(6)
    for (const [i, watcher] of watchers.entries())
      watcher.add(pairs.slice(0, 2 * i).map(({ socket }) => socket))
    for (const agent of agents) await get(agent)
    await get(agents[1]!)
    const told = await scrape(registry)
    expect(watchers.map((_, i) => told.value('deadpeer_watcher_connections', { watcher: `w${i}` }))).toEqual([
      0, 2, 4,
    ])
    expect(agents.map((_, i) => told.value('deadpeer_agent_requests_total', { agent: `a${i}` }))).toEqual([
      1, 2,
    ])
    expect(told.value('own')).toBe(5)
    for (const watcher of watchers) watcher.close()
  })

  it.runIf(hasPromtool)(
    'writes text that promtool accepts, with the same series in the format of OpenMetrics',
    async () => {
      const plain = new Registry()
      const open = new Registry<OpenMetricsContentType>()
      open.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
      const watcher = watch()
      const agent = agentOf()
      for (const registry of [plain, open]) {
        collectWatcher(registry, watcher, { name: 'with "quotes" and \\\n more', suspicions: true })
        collectAgent(registry, agent)
        collectCounters(registry)
      }
      const text = await plain.metrics()
      expect(complaintsOfPromtool(text)).toBe('')
      // The check can fail.
      expect(complaintsOfPromtool(text.replaceAll('_total', '_gauge'))).not.toBe('')
      const names = (lines: string) =>
        lines
          .split('\n')
          .filter((line) => /^deadpeer_(agent|watcher)/.test(line))
          .map((line) => line.split(' ').slice(0, -1).join(' '))
      expect(names(await open.metrics())).toEqual(names(text))
      // A second scrape has none of the first.
      expect(names(await open.metrics())).toEqual(names(text))
      watcher.close()
    },
  )

  it('samples everything once a scrape, however many scrapes there are', async () => {
    const registry = new Registry()
    const agent = agentOf()
    let looks = 0
    collectAgent(registry, {
      snapshot() {
        looks++
        return agent.snapshot()
      },
    })
    const [first, second] = await Promise.all([registry.metrics(), registry.metrics()])
    expect(first).toBe(second)
    // Those two were asked for in the same breath.
    expect(looks).toBe(1)
    await registry.metrics()
    expect(looks).toBe(2)
  })

  it('refuses a second collector of the same series at once, and accepts it once the first is gone', async () => {
    const registry = new Registry()
    const [one, other] = [watch(), watch()]
    const stop = collectWatcher(registry, one, { name: 'devices' })
    expect(() => collectWatcher(registry, other, { name: 'devices' })).toThrow(
      expect.objectContaining({ code: 'ERR_NAME_TAKEN', field: 'name' }),
    )
    expect(other.listenerCount('dead')).toBe(0)
    stop()
    stop()
    expect((await scrape(registry)).valuesOf('watcher')).toEqual(new Set())
    collectWatcher(registry, other, { name: 'devices' })
    stop()
    expect((await scrape(registry)).valuesOf('watcher')).toEqual(new Set(['devices']))

    collectCounters(registry)
    expect(() => collectCounters(registry)).toThrow(expect.objectContaining({ code: 'ERR_NAME_TAKEN' }))

    // One metric in the middle is somebody else's.
    const taken = new Registry()
    new Gauge({ name: 'deadpeer_agent_reuse_ratio', help: 'Not ours.', registers: [taken] })
    expect(() => collectAgent(taken, agentOf())).toThrow(
      expect.objectContaining({ code: 'ERR_NAME_TAKEN', message: expect.stringContaining('reuse_ratio') }),
    )
    expect((await scrape(taken)).metrics.map(({ name }) => name)).toEqual(['deadpeer_agent_reuse_ratio'])
    for (const watcher of [one, other]) watcher.close()
  })

  it('can be cleared and filled again', async () => {
    const registry = new Registry()
    const watcher = watch()
    collectWatcher(registry, watcher)
    registry.clear()
    expect(await registry.metrics()).toBe('\n')
    collectWatcher(registry, watcher)
    expect((await scrape(registry)).value('deadpeer_watcher_connections', { watcher: 'default' })).toBe(0)
    // What is counted is not the registry's to lose.
    registry.resetMetrics()
    expect((await scrape(registry)).value('deadpeer_watcher_connections', { watcher: 'default' })).toBe(0)
    watcher.close()
  })

  it.each<{ what: string; collect: () => unknown; field: string }>([
    { what: 'no registry', collect: () => collectWatcher({} as never, watch()), field: 'registry' },
    { what: 'no registry at all', collect: () => collectCounters(undefined as never), field: 'registry' },
    { what: 'no watcher', collect: () => collectWatcher(new Registry(), {} as never), field: 'watcher' },
    {
      what: 'an agent of Node’s',
      collect: () => collectAgent(new Registry(), new http.Agent() as never),
      field: 'agent',
    },
    { what: 'no agent', collect: () => collectAgent(new Registry(), undefined as never), field: 'agent' },
    {
      what: 'a name that is none',
      collect: () => collectWatcher(new Registry(), watch(), { name: 5 as never }),
      field: 'name',
    },
    {
      what: 'an empty name',
      collect: () => collectAgent(new Registry(), new HttpAgent(), { name: '' }),
      field: 'name',
    },
    {
      what: 'a misspelt option',
      collect: () => collectWatcher(new Registry(), watch(), { nmae: 'x' } as never),
      field: 'nmae',
    },
    {
      what: 'options that are none',
      collect: () => collectWatcher(new Registry(), watch(), 'devices' as never),
      field: 'options',
    },
    {
      what: 'suspicions that are no yes or no',
      collect: () => collectWatcher(new Registry(), watch(), { suspicions: 'all' as never }),
      field: 'suspicions',
    },
  ])('refuses $what', ({ collect, field }) => {
    expect(collect).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', field }))
  })
})

describe('metrics in workers', () => {
  it('are collected in the registry of each worker and summed in the primary, which counts the host once', async () => {
    const told = await Promise.all(
      [1, 2, 3].map(async () => {
        const worker = new Worker(new URL('fixtures/metrics-worker.mjs', import.meta.url))
        const [metrics] = await once(worker, 'message')
        await once(worker, 'exit')
        return metrics
      }),
    )
    const whole = new Exposition(await AggregatorRegistry.aggregate(told).metrics())
    const ofWatchers = { watcher: 'default' }
    expect(whole.value('deadpeer_watcher_connections', ofWatchers)).toBe(3)
    expect(whole.value('deadpeer_watcher_deaths_total', { ...ofWatchers, reason: 'reset' })).toBe(3)
    const probes = told[0].find(({ name }: { name: string }) => name === 'deadpeer_host_resets_sent_total')
    expect(whole.value('deadpeer_host_resets_sent_total')).toBe(probes.values[0].value)
  })
})

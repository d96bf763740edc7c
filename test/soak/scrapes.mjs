import assert from 'node:assert/strict'
import { Registry } from 'prom-client'
import { listSockets, readCounters } from '../../dist/host/index.js'
import { sampleTcpInfo } from '../../dist/index.js'
import { collectCounters, collectWatcher } from '../../dist/metrics/index.js'

// What a program's monitoring does beside: each so often, over all connections. `every` in ms. What else collects figures gets an entry here.

const fields = ['state', 'rtt', 'unacked', 'retransmits', 'probes', 'lastDataRecv', 'segsIn', 'segsOut']
let out = new Float64Array()

const registry = new Registry()
collectCounters(registry)

/** @type {{ name: string, every: number, run(sockets: Iterable<import('node:net').Socket>): unknown }[]} */
export const scrapes = [
  {
    name: 'sampleTcpInfo',
    every: 1_000,
    run(sockets) {
      const all = [...sockets]
      if (out.length < all.length * fields.length) out = new Float64Array(2 * all.length * fields.length)
      sampleTcpInfo(all, fields, out)
      assert.ok(all.length === 0 || out.some((value) => value > 0))
    },
  },
  {
    name: 'readCounters',
    every: 1_000,
    run: () => assert.ok(readCounters().Tcp.CurrEstab >= 0),
  },
  {
    name: 'listSockets',
    every: 5_000,
    async run() {
      const list = await listSockets({ states: ['established'], info: true })
      assert.ok(list.length > 0)
    },
  },
  {
    name: 'metrics',
    every: 5_000,
    run: () => registry.metrics(),
  },
]

/** From now on what this watcher says is in the metrics as well. To count suspicions is to listen to them. */
export function collect(watcher, name, suspicions) {
  collectWatcher(registry, watcher, { name, suspicions })
}

/** How many deaths the metrics tell of. */
export async function deathsInMetrics() {
  const metrics = await registry.getMetricsAsJSON()
  const { values = [] } = metrics.find(({ name }) => name === 'deadpeer_watcher_deaths_total') ?? {}
  return values.reduce((sum, { value }) => sum + value, 0)
}

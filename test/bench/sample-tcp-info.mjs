import assert from 'node:assert/strict'
import { sampleTcpInfo } from '../../dist/index.js'
import { alternate } from './harness/alternate.mjs'
import { none, timesAtMost } from './harness/figures.mjs'
import { connections, descriptors } from './harness/loopback.mjs'
import { reference } from './harness/reference.mjs'

const fields = Object.freeze(['state', 'probes', 'retransmits', 'lastDataRecv', 'lastAckRecv', 'segsIn'])

/** Nothing has to hold but that the connections are there. */
const always = { renew: async () => Number.POSITIVE_INFINITY }

function sampled(sockets) {
  const out = new Float64Array(sockets.length * fields.length)
  return {
    run: () => sampleTcpInfo(sockets, fields, out),
    check: () => assert.ok(out.every((value, i) => (i % fields.length === 0 ? value === 1 : value >= 0))),
  }
}

function loopInC(sockets) {
  const fds = descriptors(sockets)
  return {
    run: () => reference().readTcpInfo(fds),
    check: (established) => assert.equal(established, fds.length),
  }
}

function timeRow(count) {
  return {
    name: `sampleTcpInfo, ${count.toLocaleString('en')} sockets, ${fields.length} fields`,
    against: 'getsockopt(TCP_INFO) in C',
    toReach: timesAtMost(1.1),
    async measure() {
      const sockets = await connections(count)
      const times = await alternate(sampled(sockets), loopInC(sockets), always)
      const perSocket = (passes) => passes.map((ms) => (ms * 1e6) / count)
      return { ours: perSocket(times.ours), reference: perSocket(times.reference), unit: 'ns' }
    },
  }
}

/** Too few rounds for a collection to come in between, enough for what the calls themselves leave to vanish. */
const HEAP_ROUNDS = 50

const heapRow = {
  name: 'sampleTcpInfo, heap a socket, into an array that is passed again',
  against: '—',
  toReach: none('bytes'),
  async measure() {
    const count = 1_000
    const { run } = sampled(await connections(count))
    for (let i = 0; i < HEAP_ROUNDS; i++) run()
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < HEAP_ROUNDS; i++) run()
    const bytes = (process.memoryUsage().heapUsed - before) / HEAP_ROUNDS / count
    return { ours: [Math.round(bytes)], reference: [0], unit: 'bytes' }
  },
}

export const rows = [timeRow(1_000), timeRow(8_000), heapRow]

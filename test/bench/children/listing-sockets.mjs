import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { listSockets } from '../../../dist/host/index.js'
import { alternate } from '../harness/alternate.mjs'
import { reference } from '../harness/reference.mjs'

// Has other processes open so many connections, and lists them, by turns in two ways. Prints the samples, in ms, as JSON.
// Needs a network namespace of its own: sockets of others come and go.

const program = fileURLToPath(new URL('holding-connections.mjs', import.meta.url))

const [, , way, connections] = process.argv

// A process may have about 20,000 descriptors, and the one that lists is to have few.
const HOLDERS = 2

/** Both ends of each, and a listener a holder. */
const sockets = 2 * Number(connections) + HOLDERS

const CPU_ROUNDS = 20

/** Nothing that is measured changes a socket. */
const always = { renew: () => Number.POSITIVE_INFINITY }

const listed = {
  run: () => listSockets({ info: true }),
  check: ({ length, interrupted }) => {
    assert.equal(length, sockets)
    assert.ok(!interrupted)
  },
}

const dumpedInC = {
  run: () => reference().dumpSockets(),
  check: (count) => assert.equal(count, sockets),
}

/** What ss does for each: state, ends, timer and queues are looked at; not what it makes of tcp_info. */
async function cpuOfListing() {
  const before = process.cpuUsage()
  let seen = 0
  for (const { state, local, remote, timer, receiveQueue, sendQueue } of await listSockets({ info: true })) {
    seen += Number(Boolean(state && local && remote && timer && receiveQueue + sendQueue >= 0))
  }
  const { user, system } = process.cpuUsage(before)
  assert.ok(seen > 0.99 * sockets)
  return (user + system) / 1000
}

async function cpuOfSs() {
  const before = reference().cpuOfChildren()
  const { stdout } = await promisify(execFile)('ss', ['-tinOH'], { maxBuffer: 2 ** 27 })
  assert.ok(stdout.split('\n').length > 0.99 * sockets)
  return (reference().cpuOfChildren() - before) / 1000
}

async function byTurns(ours, other) {
  const samples = { ours: [], reference: [] }
  for (let round = 0; round < CPU_ROUNDS; round++) {
    samples.ours.push(await ours())
    samples.reference.push(await other())
  }
  return samples
}

const ways = {
  time: () => alternate(listed, dumpedInC, always),
  cpu: () => byTurns(cpuOfListing, cpuOfSs),
}

const holders = Array.from({ length: HOLDERS }, () =>
  spawn(process.execPath, [program, connections / HOLDERS], { stdio: ['pipe', 'pipe', 'inherit'] }),
)
await Promise.all(holders.map(({ stdout }) => once(stdout, 'data')))
console.log(JSON.stringify(await ways[way]()))
for (const holder of holders) holder.stdin.end()

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { listSockets } from '../../dist/host.js'
import { alternate } from './harness/alternate.mjs'
import { timesAtMost, timesFaster } from './harness/figures.mjs'
import { closeConnections } from './harness/loopback.mjs'
import { reference } from './harness/reference.mjs'
import { NotMeasured } from './harness/row.mjs'

const program = fileURLToPath(new URL('children/holding-connections.mjs', import.meta.url))

// A process may have about 20,000 descriptors, and the listing one is to have few.
const HOLDERS = 2
const CONNECTIONS_EACH = 5_000
const SOCKETS = 2 * HOLDERS * CONNECTIONS_EACH

const MAX_ROUNDS = 20

/** Nothing that is measured changes a socket. */
const always = { renew: () => Number.POSITIVE_INFINITY }

/** Sockets come and go on any machine, so not all have to be ours. */
function enough(count) {
  assert.ok(count >= SOCKETS && count < 2 * SOCKETS, `${count} sockets`)
}

async function withSockets(measure) {
  await closeConnections()
  const holders = Array.from({ length: HOLDERS }, () =>
    spawn(process.execPath, [program, CONNECTIONS_EACH], { stdio: ['pipe', 'pipe', 'inherit'] }),
  )
  try {
    await Promise.all(holders.map(({ stdout }) => once(stdout, 'data')))
    return await measure()
  } finally {
    for (const holder of holders) holder.stdin.end()
    await Promise.all(holders.map((holder) => once(holder, 'exit')))
  }
}

const listed = {
  run: () => listSockets({ info: true }),
  check: ({ length, interrupted }) => {
    enough(length)
    assert.ok(!interrupted)
  },
}

const dumpedInC = { run: () => reference().dumpSockets(), check: enough }

/** What ss does for each: state, ends, timer and queues are looked at; not what it makes of tcp_info. */
async function cpuOfListing() {
  const before = process.cpuUsage()
  let seen = 0
  for (const { state, local, remote, timer, receiveQueue, sendQueue } of await listSockets({ info: true })) {
    seen += Number(Boolean(state && local && remote && timer && receiveQueue + sendQueue >= 0))
  }
  const { user, system } = process.cpuUsage(before)
  enough(seen)
  return (user + system) / 1000
}

async function cpuOfSs() {
  const before = reference().cpuOfChildren()
  const { stdout } = await promisify(execFile)('ss', ['-tinOH'], { maxBuffer: 2 ** 27 }).catch((error) => {
    throw new NotMeasured(`ss does not run (${error.code ?? error.message})`)
  })
  enough(stdout.split('\n').length - 1)
  return (reference().cpuOfChildren() - before) / 1000
}

async function byTurns(ours, other) {
  const samples = { ours: [], reference: [] }
  for (let round = 0; round < MAX_ROUNDS; round++) {
    samples.ours.push(await ours())
    samples.reference.push(await other())
  }
  return samples
}

const what = `listSockets, ${SOCKETS.toLocaleString('en')} sockets, with tcp_info`

export const rows = [
  {
    name: what,
    against: 'netlink dump in C',
    toReach: timesAtMost(1.5),
    measure: () => withSockets(async () => ({ ...(await alternate(listed, dumpedInC, always)), unit: 'ms' })),
  },
  {
    name: `${what}, CPU`,
    against: 'ss -tinO',
    toReach: timesFaster(2),
    measure: () => withSockets(async () => ({ ...(await byTurns(cpuOfListing, cpuOfSs)), unit: 'ms' })),
  },
]

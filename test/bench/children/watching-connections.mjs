import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { watch } from '../../../dist/index.js'
import { closeConnections, connections, descriptors, peersOf } from '../harness/loopback.mjs'
import { reference } from '../harness/reference.mjs'

// Watches so many connections and prints, as JSON, how soon deaths are told, or what it takes while nobody dies. Both ends are in
// this process.

const [, , count, what, amount] = process.argv
const { startWitness, stopWitness, wokenAt, allocated } = reference()
const sockets = await connections(Number(count))

const now = () => Number(process.hrtime.bigint()) / 1e6

const ways = {
  /** So many of them are reset, one after the other. */
  async deaths(deaths) {
    // Node does not look at these: with a buffer of their own, pausing takes them out of its epoll set at once.
    for (const socket of sockets) socket.on('error', () => {}).pause()
    const told = new Map()
    // Destroyed, a socket would be gone from the witness's set, which is not always the faster one.
    const watcher = watch({ onDead: 'report' })
    watcher.on('dead', ({ socket }) => told.set(socket, now()))
    watcher.add(sockets)
    assert.equal(startWitness(descriptors(sockets)), 0)
    await delay(1_000)
    const peers = peersOf(sockets)
    const killed = []
    for (let i = 0; i < deaths; i++) {
      // Spread over all of them.
      const index = Math.floor((i * sockets.length) / deaths)
      const at = now()
      peers[index].on('error', () => {}).resetAndDestroy()
      killed.push({ index, at })
      await delay(2 + 3 * Math.random())
    }
    await delay(100)
    stopWitness()
    assert.equal(told.size, deaths)
    assert.equal(watcher.stats().dead, deaths)
    return {
      told: killed.map(({ index, at }) => told.get(sockets[index]) - at),
      woken: killed.map(({ index, at }) => {
        assert.ok(wokenAt(index) > 0)
        return wokenAt(index) - at
      }),
    }
  },

  async idle(seconds) {
    const settle = async () => {
      for (let turn = 0; turn < 5; turn++) {
        globalThis.gc()
        await delay(200)
      }
    }
    const watcher = watch()
    // The thread, its stack and the addon are not a socket's.
    watcher.add(sockets[0])
    await settle()
    const before = allocated()
    watcher.add(sockets)
    await settle()
    const bytes = Math.max(0, (allocated() - before) / (sockets.length - 1))
    const wokenBefore = wakeUps()
    const cpuBefore = process.cpuUsage()
    await delay(1_000 * seconds)
    const { user, system } = process.cpuUsage(cpuBefore)
    assert.equal(watcher.size, sockets.length)
    return { bytes, wakeUps: wakeUps() - wokenBefore, cpu: (100 * (user + system)) / (1e6 * seconds) }
  },
}

/** How often the deathwatch's thread has gone to sleep. */
function wakeUps() {
  const files = readdirSync('/proc/self/task').map((task) =>
    readFileSync(`/proc/self/task/${task}/status`, 'utf8'),
  )
  const ours = files.filter((status) => status.startsWith('Name:\tdeadpeer\n'))
  assert.equal(ours.length, 1)
  return Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(ours[0])[1])
}

console.log(JSON.stringify(await ways[what](Number(amount))))
await closeConnections()
process.exit()

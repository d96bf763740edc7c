import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { watch } from '../../dist/index.js'
import { alternate } from './harness/alternate.mjs'
import { atMost, none, p99AtMostMore } from './harness/figures.mjs'
import { closeConnections, connections, descriptors } from './harness/loopback.mjs'
import { reference } from './harness/reference.mjs'

const program = fileURLToPath(new URL('children/watching-connections.mjs', import.meta.url))

/** Both ends of each are in one process, whose limit is 20,000 descriptors. */
const WATCHED = 9_000
const DEATHS = 500
const IDLE_SECONDS = 60

/** In a process of its own, which does nothing else. */
async function inChild(...args) {
  // Its descriptors and ours come out of different limits, its processor time does not.
  await closeConnections()
  reference()
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', program, WATCHED, ...args])
  return JSON.parse(stdout)
}

let idle
/** One minute for all rows that ask for it. */
function idleFor(seconds) {
  idle ??= inChild('idle', seconds)
  return idle
}

const thousands = (count) => count.toLocaleString('en')

/** Added and deleted at once, one after the other. */
function watched([first, ...sockets]) {
  // So that it is not the thread's start and end that is measured.
  const watcher = watch().add(first)
  let rounds = 0
  return {
    run() {
      for (const socket of sockets) {
        watcher.add(socket)
        watcher.delete(socket)
      }
    },
    check: () => assert.equal(watcher.stats().removed, ++rounds * sockets.length),
    close: () => watcher.close(),
  }
}

function loopInC(sockets) {
  const fds = descriptors(sockets)
  return {
    run: () => reference().watchAndUnwatch(fds),
    check: (failed) => assert.equal(failed, 0),
  }
}

/** Nothing has to hold but that the connections are there. */
const always = { renew: async () => Number.POSITIVE_INFINITY }

export const rows = [
  {
    name: `watch, death to event, ${thousands(WATCHED)} watched`,
    against: 'epoll_wait in C wakes',
    toReach: p99AtMostMore(2, 'ms'),
    async measure() {
      const { told, woken } = await inChild('deaths', DEATHS)
      // From the reset that kills on.
      return { ours: told, reference: woken, unit: 'ms' }
    },
  },
  {
    name: 'watch, add and delete',
    against: 'epoll_ctl × 2 in C',
    toReach: atMost(3, 'µs', 2),
    async measure() {
      const sockets = await connections(1_001)
      const ours = watched(sockets)
      const [, ...others] = sockets
      try {
        const times = await alternate(ours, loopInC(others), always)
        const perSocket = (passes) => passes.map((ms) => (ms * 1e3) / others.length)
        return { ours: perSocket(times.ours), reference: perSocket(times.reference), unit: 'µs' }
      } finally {
        ours.close()
      }
    },
  },
  {
    name: `watch, ${thousands(WATCHED)} idle for ${IDLE_SECONDS} s, wake-ups of the thread`,
    against: '—',
    toReach: none('wake-ups'),
    async measure() {
      const { wakeUps } = await idleFor(IDLE_SECONDS)
      return { ours: [wakeUps], reference: [0], unit: 'wake-ups' }
    },
  },
  {
    name: `watch, ${thousands(WATCHED)} idle for ${IDLE_SECONDS} s, CPU of the process`,
    against: '—',
    toReach: atMost(0.2, '%', 3),
    async measure() {
      const { cpu } = await idleFor(IDLE_SECONDS)
      return { ours: [cpu], reference: [0], unit: '%' }
    },
  },
  {
    name: `watch, native memory a socket, ${thousands(WATCHED)} watched`,
    against: '—',
    toReach: atMost(256, 'bytes', 0),
    async measure() {
      const { bytes } = await idleFor(IDLE_SECONDS)
      return { ours: [bytes], reference: [0], unit: 'bytes' }
    },
  },
]

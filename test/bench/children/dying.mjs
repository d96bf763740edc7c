import { setTimeout as delay } from 'node:timers/promises'
import { inspect, tune, watch } from '../../../dist/index.js'
import { blackHole } from '../../../dist/testing/index.js'
import { connections, peersOf } from '../harness/loopback.mjs'

// So many idle peers vanish at once, for each way to find them gone, all in one run. Prints as JSON how long each took since
// it was last heard, ms.

const [, , deaths] = process.argv.map(Number)

const ways = {
  kernel1: (sockets) => tuneAll(sockets, { initialDelay: 1_000, interval: 1_000, count: 1 }),
  kernel3: (sockets) => tuneAll(sockets, { initialDelay: 1_000, interval: 1_000, count: 3 }),
  node: (sockets) => {
    for (const socket of sockets) socket.setKeepAlive(true, 1_000)
  },
  heartbeat1: (sockets) => watch({ heartbeat: { every: 1_000, attempts: 1 } }).add(sockets),
  heartbeat3: (sockets) => watch({ heartbeat: { every: 1_000, attempts: 3 } }).add(sockets),
}

const names = Object.keys(ways)
const all = await connections(deaths * names.length)
const peers = peersOf(all)
const results = {}
const ended = []
for (const [i, name] of names.entries()) {
  const sockets = all.slice(i * deaths, (i + 1) * deaths)
  results[name] = []
  ways[name](sockets)
  for (const socket of sockets) {
    socket.on('error', () => {})
    ended.push(new Promise((resolve) => socket.once('close', resolve)).then(() => performance.now()))
  }
}
// A beat and more, all alive.
await delay(2_500)
for (const socket of all) socket.write('.')
while (all.some((socket) => inspect(socket).info.unacked > 0)) await delay(5)
const heardAt = all.map((socket, i) => {
  blackHole(peers[i])
  return performance.now() - inspect(socket).info.lastAckRecv
})
const endedAt = await Promise.all(ended)
for (const [i, at] of endedAt.entries()) results[names[Math.floor(i / deaths)]].push(at - heardAt[i])
console.log(JSON.stringify(results))
process.exit()

function tuneAll(sockets, profile) {
  for (const socket of sockets) tune(socket, profile)
}

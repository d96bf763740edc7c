import { setTimeout as delay } from 'node:timers/promises'
import { inspect, probe, tuneAll } from '../../../dist/index.js'
import { blackHole } from '../../../dist/testing/index.js'
import { closeConnections, connections, peersOf } from '../harness/loopback.mjs'

// Opens so many connections, has every fourth peer vanish, asks all, so many times, and prints for each run
// how many were called wrongly, and when the live and the silent ones were known.

const [, , count, attempts, runs] = process.argv.map(Number)

const sockets = await connections(count)
await tuneAll(sockets, { initialDelay: 600_000, interval: 10_000, count: 5 })
const peers = peersOf(sockets)
const isSilent = (i) => i % 4 === 0
for (const [i, peer] of peers.entries()) if (isSilent(i)) blackHole(peer)
await probeOnce()

const results = []
for (let run = 0; run < runs; run++) results.push(await probeOnce())
const changed = sockets.filter((socket, i) => !isSilent(i) && inspect(socket).pending).length
if (changed > 0) throw new Error(`${changed} live sockets have options that are not their own`)
console.log(JSON.stringify(results))
await closeConnections()

async function probeOnce() {
  // What was heard within the last second is not asked.
  await delay(1_100)
  const live = []
  const silent = []
  let wrong = 0
  const start = performance.now()
  await Promise.all(
    sockets.map(async (socket, i) => {
      const { alive } = await probe(socket, { attempts })
      const known = performance.now() - start
      if (alive === isSilent(i) || alive === undefined) wrong++
      if (isSilent(i)) silent.push(known)
      else live.push(known)
    }),
  )
  live.sort((a, b) => a - b)
  return { wrong, liveMedian: live[live.length >> 1], silentLast: Math.max(...silent) }
}

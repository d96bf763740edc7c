import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { defineProfile, inspect, tuneAll } from '../../../dist/index.js'
import { closeConnections, connections, descriptors, peersOf } from '../harness/loopback.mjs'
import { kernelUnits, reference } from '../harness/reference.mjs'

// Opens so many connections, leaves them silent for longer than initialDelay and userTimeout, tunes them, and prints
// how many died of it. All are healthy, with both ends in this process.

const profile = defineProfile({
  enable: true,
  initialDelay: 2_000,
  interval: 1_000,
  count: 3,
  userTimeout: 5_000,
})
const SILENCE = profile.userTimeout + 2_000
/** Longer than the profile gives a dead peer, so that whoever was to die has died. */
const DETECTION = profile.userTimeout + 1_000

const [, , way, count] = process.argv
const { setOptions, countWith } = reference()
const values = kernelUnits(profile)

/** Ways to tune them. Each returns what holds, at the end, of those that are left. */
const ways = {
  async tuneAll(sockets) {
    await tuneAll(sockets, profile)
    return (left) => assert.ok(left.every((socket) => inspect(socket).pending === undefined))
  },
  loopInC(sockets) {
    const failed = setOptions(descriptors(sockets), values)
    assert.equal(failed, 0)
    return () => {}
  },
}

const sockets = await connections(Number(count))
const errors = new Map()
for (const socket of sockets) socket.on('error', (error) => errors.set(socket, error.code))
// Whom the kernel gives up, it resets.
for (const peer of peersOf(sockets)) peer.on('error', () => {})

await delay(SILENCE)
for (const socket of sockets) {
  const { lastDataRecv, lastAckRecv } = inspect(socket).info
  assert.ok(Math.min(lastDataRecv, lastAckRecv) > profile.userTimeout)
}
const checkThoseLeft = await ways[way](sockets)
await delay(DETECTION)

const left = sockets.filter((socket) => !socket.destroyed)
const killed = sockets.filter((socket) => socket.destroyed)
assert.ok(killed.every((socket) => errors.get(socket) === 'ETIMEDOUT'))
assert.equal(countWith(descriptors(left), values), left.length)
checkThoseLeft(left)
console.log(killed.length)
await closeConnections()

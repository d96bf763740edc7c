import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { defineProfile, tune, tuneAll } from '../../dist/index.js'
import { alternate } from './harness/alternate.mjs'
import { timesAtMost, timesFaster } from './harness/figures.mjs'
import { connections, descriptors, hearPeers } from './harness/loopback.mjs'
import { reference } from './harness/reference.mjs'
import { NotMeasured } from './harness/row.mjs'

/** Nothing fires: no row leaves a peer silent for as long as either initialDelay. */
const profiles = [
  defineProfile({ enable: true, initialDelay: 45_000, interval: 9_000, count: 5, userTimeout: 90_000 }),
  defineProfile({ enable: true, initialDelay: 60_000, interval: 12_000, count: 6, userTimeout: 132_000 }),
]

/** The same in the kernel's units, in the order of the reference. */
const kernelValues = profiles.map(({ enable, initialDelay, interval, count, userTimeout }) =>
  Int32Array.of(Number(enable), interval / 1000, count, userTimeout, initialDelay / 1000),
)

/** A delayed ACK leaves 40 ms after what it answers; its timer is no part of the work. */
const DELAYED_ACK_MS = 60

/**
 * Tuning must not end a connection that has long been silent. So the library asks the kernel how long that is,
 * one system call more, unless it knows that the peer was heard within the last second.
 */
const conditions = {
  'heard within the last second': (sockets) => ({
    async renew() {
      const start = performance.now()
      await hearPeers(sockets)
      await delay(DELAYED_ACK_MS)
      for (const socket of sockets) tune(socket, profiles[1])
      return start + 950
    },
  }),
  'silent for longer': (sockets) => ({
    async renew() {
      const start = performance.now()
      await hearPeers(sockets)
      await delay(1_100)
      return start + 40_000
    },
  }),
}

const inOneCall = (sockets) => ({
  run: (variant) => tuneAll(sockets, profiles[variant]),
  check(results, variant) {
    assert.ok(results.every(({ error, pending }) => !error && !pending))
    checkValues(sockets, variant)
  },
})

const oneByOne = (sockets) => ({
  run(variant) {
    const profile = profiles[variant]
    for (const socket of sockets) tune(socket, profile)
  },
  check: (_, variant) => checkValues(sockets, variant),
})

const loopInC = (sockets) => {
  const fds = descriptors(sockets)
  const { setOptions } = reference()
  return {
    run: (variant) => setOptions(fds, kernelValues[variant]),
    check(failed, variant) {
      assert.equal(failed, 0)
      checkValues(sockets, variant)
    },
  }
}

const settersOf = (netKeepalive) => (sockets) => ({
  run(variant) {
    const { interval, count, userTimeout } = profiles[variant]
    for (const socket of sockets) {
      netKeepalive.setKeepAliveInterval(socket, interval)
      netKeepalive.setKeepAliveProbes(socket, count)
      netKeepalive.setUserTimeout(socket, userTimeout)
    }
  },
  check() {
    const [socket] = sockets
    assert.equal(netKeepalive)
  },
})

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { defineProfile, tune, tuneAll } from '../../dist/index.js'
import { alternate } from './harness/alternate.mjs'
import { timesAtMost, timesFaster } from './harness/figures.mjs'
import { connections, descriptors, hearPeers } from './harness/loopback.mjs'
import { kernelUnits, reference } from './harness/reference.mjs'
import { NotMeasured } from './harness/row.mjs'

/** Nothing fires: no row leaves a peer silent for as long as either initialDelay. */
const profiles = [
  defineProfile({ enable: true, initialDelay: 45_000, interval: 9_000, count: 5, userTimeout: 90_000 }),
  defineProfile({ enable: true, initialDelay: 60_000, interval: 12_000, count: 6, userTimeout: 132_000 }),
]

const kernelValues = profiles.map(kernelUnits)

/** A delayed ACK leaves 40 ms after what it answers; its timer is no part of the work. */
const DELAYED_ACK_MS = 60

/**
 * Tuning must not end a connection whose peer has been silent for long. So the library reads TCP_INFO first, unless it knows that the peer was
 * heard within the last second. The C loop makes the same system calls.
 */
const conditions = {
  'heard within the last second': {
    inC: { name: 'setsockopt × 5 in C', call: 'setOptions' },
    toReach: { tuneAll: timesAtMost(1.1), tune: timesAtMost(1.3) },
    bringAbout: (sockets) => ({
      async renew() {
        const start = performance.now()
        await hearPeers(sockets)
        await delay(DELAYED_ACK_MS)
        for (const socket of sockets) tune(socket, profiles[1])
        return start + 950
      },
    }),
  },
  'idle for longer': {
    inC: { name: 'TCP_INFO + setsockopt × 5 in C', call: 'setOptionsKnowingSilence' },
    toReach: { tuneAll: timesAtMost(1.12), tune: timesAtMost(1.12) },
    bringAbout: (sockets) => ({
      async renew() {
        const start = performance.now()
        await hearPeers(sockets)
        await delay(1_100)
        return start + 40_000
      },
    }),
  },
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

const sides = { tuneAll: inOneCall, tune: oneByOne }

const loopInC = (call) => (sockets) => {
  const fds = descriptors(sockets)
  const setOptions = reference()[call]
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
    let done = true
    for (const socket of sockets) {
      done &&= netKeepalive.setKeepAliveInterval(socket, interval)
      done &&= netKeepalive.setKeepAliveProbes(socket, count)
      done &&= netKeepalive.setUserTimeout(socket, userTimeout)
    }
    return done
  },
  check: (done) => assert.ok(done),
})

/** Of every fiftieth socket: reading back all of them would take longer than tuning them. */
function checkValues(sockets, variant) {
  const fds = descriptors(sockets.filter((_, i) => i % 50 === 0))
  assert.equal(reference().countWith(fds, kernelValues[variant]), fds.length)
}

async function compare(sockets, ours, other, condition, limits) {
  const times = await alternate(
    ours(sockets),
    other(sockets),
    conditions[condition].bringAbout(sockets),
    limits,
  )
  const perSocket = (passes) => passes.map((ms) => (ms * 1e6) / sockets.length)
  return { ours: perSocket(times.ours), reference: perSocket(times.reference), unit: 'ns' }
}

function rowAgainstC(call, count, condition) {
  const { inC, toReach } = conditions[condition]
  return {
    name: `${call}, ${count.toLocaleString('en')} sockets, ${condition}`,
    against: inC.name,
    toReach: toReach[call],
    async measure() {
      const sockets = await connections(count)
      return compare(sockets, sides[call], loopInC(inC.call), condition)
    },
  }
}

/** It leaks about 470 B a call. 200 sockets, 3 calls each, 2 passes a round: this leaks 25 MB. */
const NET_KEEPALIVE_ROUNDS = 40

function rowAgainstNetKeepalive(condition) {
  return {
    name: `tune (5 options), 200 sockets, ${condition}`,
    against: 'net-keepalive (3 options)',
    toReach: timesFaster(8),
    async measure() {
      const netKeepalive = await loadNetKeepalive()
      const sockets = await connections(200)
      return compare(sockets, oneByOne, settersOf(netKeepalive), condition, {
        maxRounds: NET_KEEPALIVE_ROUNDS,
      })
    },
  }
}

async function loadNetKeepalive() {
  try {
    return (await import('net-keepalive')).default
  } catch (error) {
    throw new NotMeasured(`net-keepalive does not load (${error.code ?? error.message})`)
  }
}

// Smaller numbers first: connections, once opened, stay for the rows that come after.
const names = Object.keys(conditions)
export const rows = [
  ...names.map(rowAgainstNetKeepalive),
  ...[1_000, 8_000].flatMap((count) =>
    ['tuneAll', 'tune'].flatMap((call) => names.map((condition) => rowAgainstC(call, count, condition))),
  ),
]

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { neverOver, none } from './harness/figures.mjs'
import { closeConnections } from './harness/loopback.mjs'
import { NotMeasured } from './harness/row.mjs'
import { quantile } from './harness/statistics.mjs'

const DEATHS = 200
const EVERY = 5_000
const SECONDS = 60
const FIRST_SECONDS = (2 * EVERY) / 1_000

const pathOf = (child) => fileURLToPath(new URL(`children/${child}`, import.meta.url))

/** In a network namespace of its own, so that nothing else is counted, and black holes are allowed to who may make one. */
async function inNamespace(child, ...args) {
  await closeConnections()
  const root = process.getuid() === 0 ? '-n' : '-Urn'
  const command = [
    root,
    'sh',
    '-c',
    'ip link set lo up && exec "$@"',
    'sh',
    process.execPath,
    pathOf(child),
    ...args,
  ]
  try {
    const { stdout } = await promisify(execFile)('unshare', command, { timeout: 300_000 })
    return JSON.parse(stdout)
  } catch (error) {
    if (/unshare/.test(error.stderr)) throw new NotMeasured('no network namespace to be had (unshare -n)')
    throw error
  }
}

let dying

/** The 99th percentile of as many deaths, beside the kernel's clock in the same run. */
function found(attempts, most) {
  const [ours, kernel] = [`heartbeat${attempts}`, `kernel${attempts}`]
  return {
    name: `heartbeat every 1 s × ${attempts}, ${DEATHS} idle peers vanish, p99`,
    against: `the kernel 1/1/${attempts}`,
    toReach: neverOver(most, 'ms'),
    async measure() {
      dying ??= inNamespace('dying.mjs', DEATHS)
      const times = await dying
      return { ours: [quantile(times[ours], 0.99)], reference: [quantile(times[kernel], 0.99)], unit: 'ms' }
    },
  }
}

/**
 * Connections that are watched with a heartbeat, beside the same process without a watcher. `busyShare` of them receive a message each
 * `talkEvery` ms; the others are idle. `profile`: what they are tuned to; `undefined`: their keepalive is off.
 */
const fleets = [
  { connections: 9_000, busyShare: 0.5, profile: undefined },
  { connections: 9_000, busyShare: 0.5, profile: 'cloud' },
  { connections: 4_000, busyShare: 0, profile: undefined },
  { connections: 4_000, busyShare: 0, profile: 'cloud' },
]
const TALK_EVERY = 1_000

function fleetRows({ connections, busyShare, profile }) {
  const busy = busyShare === 0 ? 'all idle' : 'half of them busy'
  const tuned = profile === undefined ? 'keepalive off' : `tuned '${profile}'`
  let observed
  const row = (what, toReach, figures, against = '') => ({
    name: `heartbeat every 5 s, ${connections.toLocaleString('en')} connections, ${busy}, ${tuned}, ${SECONDS} s, ${what}`,
    against,
    toReach,
    async measure() {
      observed ??= inNamespace(
        'heartbeat-cost.mjs',
        JSON.stringify({
          connections,
          busyShare,
          profile,
          talkEvery: TALK_EVERY,
          every: EVERY,
          seconds: SECONDS,
        }),
      )
      return figures(await observed)
    },
  })
  return [
    row(
      'event-loop delay, p99',
      moreThan(1, 'ms', 2),
      ({ watched, unwatched }) => ({ ours: [watched.p99], reference: [unwatched.p99], unit: 'ms' }),
      'not watched',
    ),
    row(
      'CPU of a core',
      moreThan(1, '%', 2),
      ({ watched, unwatched }) => ({ ours: [watched.cpu], reference: [unwatched.cpu], unit: '%' }),
      'not watched',
    ),
    row(
      `CPU of a core in the first ${FIRST_SECONDS} s, while connections are added`,
      { ...moreThan(0, '%', 2), reached: () => true, text: 'for comparison' },
      ({ first, unwatched }) => ({ ours: [first.cpu], reference: [unwatched.cpu], unit: '%' }),
      'not watched',
    ),
    ...(busyShare === 0
      ? []
      : [
          row('probes to busy connections', none('probes'), ({ probes, toIdle }) => ({
            ours: [probes - toIdle],
            reference: [0],
            unit: 'probes',
          })),
        ]),
    // Sent at random, half of the seconds would have a thirtieth more or less than the average.
    row('probes in the busiest second, relative to the average', atMost(1.25, '×', 2), ({ perSecond }) => {
      const average = perSecond.reduce((a, b) => a + b) / perSecond.length
      return { ours: [Math.max(...perSecond) / average], reference: [1], unit: '×' }
    }),
    row('declared dead', none('deaths'), ({ dead }) => ({ ours: [dead], reference: [0], unit: 'deaths' })),
  ]
}

const atMost = (limit, unit, digits) => ({
  ...neverOver(limit, unit),
  number: (value) => value.toFixed(digits),
})

const moreThan = (limit, unit, digits) => {
  const each = (ours, reference) => ours - reference
  return {
    each,
    value: ([ours], [reference]) => each(ours, reference),
    reached: (value) => value <= limit,
    number: (value) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)}`,
    unit,
    text: `≤ +${limit} ${unit}`,
  }
}

export const rows = [
  found(1, 1_500),
  found(3, 3_000),
  {
    ...found(3, 3_000),
    name: `for comparison with a heartbeat: setKeepAlive(true, 1000), ${DEATHS} idle peers vanish, p99`,
    against: 'heartbeat every 1 s × 3',
    toReach: { ...neverOver(0, 'ms'), reached: () => true, text: 'for comparison' },
    async measure() {
      dying ??= inNamespace('dying.mjs', DEATHS)
      const times = await dying
      return { ours: [quantile(times.node, 0.99)], reference: [quantile(times.heartbeat3, 0.99)], unit: 'ms' }
    },
  },
  ...fleets.flatMap(fleetRows),
]

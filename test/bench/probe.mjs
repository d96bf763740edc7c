import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { atMost, neverOver, none } from './harness/figures.mjs'
import { closeConnections } from './harness/loopback.mjs'
import { NotMeasured } from './harness/row.mjs'

const program = fileURLToPath(new URL('children/probing.mjs', import.meta.url))

const CONNECTIONS = 4_000
const RUNS = 10

/** Ten runs take about 30 s; one that hangs is no figure. */
const TOO_LONG_MS = 120_000

const measured = new Map()

/** One child for all rows of as many attempts. */
async function runs(attempts) {
  const known = measured.get(attempts)
  if (known) return known
  // Those of other rows share the receive backlog.
  await closeConnections()
  const fresh = run(attempts)
  measured.set(attempts, fresh)
  return fresh
}

async function run(attempts) {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [program, CONNECTIONS, attempts, RUNS], {
      timeout: TOO_LONG_MS,
    })
    return JSON.parse(stdout)
  } catch (error) {
    if (/EPERM/.test(error.stderr)) throw new NotMeasured('black holes need CAP_NET_ADMIN')
    throw error
  }
}

function rowOf(attempts, what, field, toReach) {
  return {
    name: `probe, 4,000 sockets, 1,000 of them with an unresponsive peer, attempts: ${attempts}, ${what}`,
    against: '',
    toReach,
    async measure() {
      const ours = (await runs(attempts)).map((each) => each[field])
      return { ours, reference: ours, unit: toReach.unit }
    },
  }
}

export const rows = [
  rowOf(1, 'wrong results', 'wrong', none('wrong')),
  rowOf(1, 'results of live peers, median', 'liveMedian', atMost(50, 'ms', 0)),
  rowOf(1, 'results of unresponsive peers, last', 'silentLast', neverOver(450, 'ms')),
  rowOf(3, 'wrong results', 'wrong', none('wrong')),
  rowOf(3, 'results of live peers, median', 'liveMedian', atMost(50, 'ms', 0)),
  rowOf(3, 'results of unresponsive peers, last', 'silentLast', neverOver(1_700, 'ms')),
]

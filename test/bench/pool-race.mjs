import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { none, shareAtLeast, timesAtMost } from './harness/figures.mjs'

const program = fileURLToPath(new URL('children/pool-race.mjs', import.meta.url))

/** 300 requests a contender each. */
const ROUNDS = 5

const measured = new Map()

/** All rows of one age are of one run. */
function race(age) {
  const known = measured.get(age)
  if (known) return known
  const fresh = promisify(execFile)(process.execPath, [program, age, ROUNDS]).then(({ stdout }) =>
    JSON.parse(stdout),
  )
  measured.set(age, fresh)
  return fresh
}

const failedShare = ({ failed, reused }) => (reused === 0 ? 0 : failed / reused)

function failedRow(reference) {
  return {
    name: 'HttpAgent, requests at 300 ± 3 ms, server closes at 300 ms: failed share of the reused',
    against: reference,
    toReach: timesAtMost(0.5),
    async measure() {
      const rounds = await race(300)
      return {
        ours: rounds.map((counts) => failedShare(counts.HttpAgent) * 100),
        reference: rounds.map((counts) => failedShare(counts[reference]) * 100),
        unit: '%',
      }
    },
  }
}

export const rows = [
  failedRow('http.Agent'),
  failedRow('agentkeepalive'),
  {
    name: 'createAgent, retryStale, the same race: failed',
    against: 'undici',
    toReach: none('failed'),
    async measure() {
      const rounds = await race(300)
      const failed = (name) => rounds.map((counts) => counts[name].failed)
      return { ours: failed('undici, retryStale'), reference: failed('undici'), unit: 'failed' }
    },
  },
  {
    name: 'HttpAgent, requests at 100 ± 3 ms: reused',
    against: 'http.Agent',
    toReach: shareAtLeast(95),
    async measure() {
      const rounds = await race(100)
      const share = (name) => rounds.map((counts) => (counts[name].reused / counts[name].requests) * 100)
      return { ours: share('HttpAgent'), reference: share('http.Agent'), unit: '%' }
    },
  },
]

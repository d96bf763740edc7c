import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { atMost, none, shareAtLeast, timesAtMost } from './harness/figures.mjs'

const program = fileURLToPath(new URL('children/pool-race.mjs', import.meta.url))
const learning = fileURLToPath(new URL('children/pool-learning.mjs', import.meta.url))

/** 300 requests a contender each. */
const ROUNDS = 5

const measured = new Map()

/** All rows with the same arguments are of one run. */
function once(...args) {
  const key = args.join(' ')
  const known = measured.get(key)
  if (known) return known
  const fresh = promisify(execFile)(process.execPath, args).then(({ stdout }) => JSON.parse(stdout))
  measured.set(key, fresh)
  return fresh
}

const race = (age) => once(program, age, ROUNDS)
const raceAfterLearning = () => once(learning, ROUNDS)

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

function learnedRow(ours, reference) {
  return {
    name: `${ours}, the same race without retries, after 200 requests: failed share of the reused`,
    against: reference,
    toReach: atMost(1, '%', 1),
    async measure() {
      const rounds = await raceAfterLearning()
      const failed = (name) => rounds.map((counts) => failedShare(sum(counts[name])) * 100)
      return { ours: failed(ours), reference: failed(reference), unit: '%' }
    },
  }
}

/** The requests at 300 ms and at 100 ms together. */
const sum = (byAge) => ({
  reused: byAge[300].reused + byAge[100].reused,
  failed: byAge[300].failed + byAge[100].failed,
})

function learnedReuseRow(ours, reference) {
  return {
    name: `${ours}, requests at 100 ± 3 ms, after those 200 requests: reused`,
    against: reference,
    toReach: shareAtLeast(95),
    async measure() {
      const rounds = await raceAfterLearning()
      const share = (name) =>
        rounds.map((counts) => (counts[name][100].reused / counts[name][100].requests) * 100)
      return { ours: share(ours), reference: share(reference), unit: '%' }
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
  learnedRow('HttpAgent', 'http.Agent'),
  learnedRow('HttpAgent', 'agentkeepalive'),
  learnedRow('createAgent', 'createAgent, learn: false'),
  learnedReuseRow('HttpAgent', 'http.Agent'),
  learnedReuseRow('createAgent', 'createAgent, learn: false'),
]

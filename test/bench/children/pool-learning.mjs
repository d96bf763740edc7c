import { fork } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { HttpAgent as KeepaliveAgent } from 'agentkeepalive'
import { request } from 'undici'
import { HttpAgent } from '../../../dist/http/index.js'
import { createAgent } from '../../../dist/undici/index.js'

// node pool-learning.mjs <rounds>: each contender sends 200 requests over connections that have been idle for 300 ms, give or take 3, to a server
// that closes them at 300 ms. Then come the measured requests, at 300 ms and then at 100 ms. Prints the counts of each contender and round, by age.

const rounds = Number(process.argv[2])
const JITTER_MS = 3
/** Connections at the same time. */
const LANES = 10
const LEARNING_TURNS = 20
const MEASURED_TURNS = 15

const server = fork(fileURLToPath(new URL('closing-idle.mjs', import.meta.url)))
const [port] = await once(server, 'message')

/** `ask` tells whether the request failed; `reused` how many requests used a connection again so far. */
function byHttp(agent) {
  let reused = 0
  return {
    ask: () =>
      new Promise((resolve) => {
        const sent = http.get({ host: '127.0.0.1', port, agent }, (response) => {
          response.resume().on('end', () => resolve(false))
        })
        sent.on('error', () => resolve(true))
        sent.on('socket', () => {
          if (sent.reusedSocket) reused++
        })
      }),
    reused: () => reused,
    end: () => agent.destroy(),
  }
}

const byUndici = (agent) => ({
  async ask() {
    try {
      const { body } = await request(`http://127.0.0.1:${port}`, { dispatcher: agent })
      await body.dump()
      return false
    } catch {
      return true
    }
  },
  reused: () => agent.snapshot().total.reusedRequests,
  end: () => agent.destroy(),
})

const contenders = {
  'http.Agent': () => byHttp(new http.Agent({ keepAlive: true })),
  agentkeepalive: () => byHttp(new KeepaliveAgent()),
  HttpAgent: () => byHttp(new HttpAgent()),
  createAgent: () => byUndici(createAgent({ connections: LANES })),
  'createAgent, learn: false': () => byUndici(createAgent({ connections: LANES, learn: false })),
}

/** One request on each connection, once it has been idle for `age` ms, give or take. */
async function turn({ ask, reused }, age, counts) {
  const before = reused()
  const lanes = Array.from({ length: LANES }, async () => {
    await delay(age + (Math.random() * 2 - 1) * JITTER_MS)
    return ask()
  })
  const failures = await Promise.all(lanes)
  if (!counts) return
  counts.requests += LANES
  counts.reused += reused() - before
  counts.failed += failures.filter(Boolean).length
}

async function run(make) {
  const contender = make()
  const none = () => ({ requests: 0, reused: 0, failed: 0 })
  const counts = { 300: none(), 100: none() }
  for (let i = 0; i < LEARNING_TURNS; i++) await turn(contender, 300)
  for (const age of [300, 100]) {
    for (let i = 0; i < MEASURED_TURNS; i++) {
      // All at once, so that there is an idle connection for each of the measured requests.
      await Promise.all(Array.from({ length: LANES }, contender.ask))
      await turn(contender, age, counts[age])
    }
  }
  await contender.end()
  return counts
}

const results = []
for (let round = 0; round < rounds; round++) {
  const counts = await Promise.all(
    Object.entries(contenders).map(async ([name, make]) => {
      // Not all at once.
      await delay(Math.random() * 300)
      return [name, await run(make)]
    }),
  )
  results.push(Object.fromEntries(counts))
}
server.kill()
console.log(JSON.stringify(results))
process.exit()

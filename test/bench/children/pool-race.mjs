import { fork } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { HttpAgent as KeepaliveAgent } from 'agentkeepalive'
import { Agent, request } from 'undici'
import { HttpAgent } from '../../../dist/http/index.js'
import { createAgent } from '../../../dist/undici/index.js'

// node pool-race.mjs <age> <rounds>: requests that use a connection again when it has been idle for `age` ms, give or take 3, by all contenders
// at the same time. Prints, for each contender and round, how many there were, how many used a connection again, and how many failed.

const [age, rounds] = process.argv.slice(2).map(Number)
const JITTER_MS = 3
/** Each with a connection to itself. */
const LANES = 25
const REQUESTS_PER_ROUND = 12

const server = fork(fileURLToPath(new URL('closing-idle.mjs', import.meta.url)))
const [port] = await once(server, 'message')

const byHttp = (agent) => ({
  ask: () =>
    new Promise((resolve) => {
      const sent = http.get({ host: '127.0.0.1', port, agent }, (response) => {
        response.resume().on('end', () => resolve({ reused: sent.reusedSocket, failed: false }))
      })
      sent.on('error', () => resolve({ reused: sent.reusedSocket, failed: true }))
    }),
  end: () => agent.destroy(),
})

const byUndici = (dispatcher) => ({
  async ask() {
    try {
      const { body } = await request(`http://127.0.0.1:${port}`, { dispatcher })
      await body.dump()
      return { reused: true, failed: false }
    } catch {
      return { reused: true, failed: true }
    }
  },
  end: () => dispatcher.destroy(),
})

const contenders = {
  'http.Agent': () => byHttp(new http.Agent({ keepAlive: true, maxSockets: 1 })),
  agentkeepalive: () => byHttp(new KeepaliveAgent({ maxSockets: 1 })),
  HttpAgent: () => byHttp(new HttpAgent({ maxSockets: 1 })),
  undici: () => byUndici(new Agent({ connections: 1 })),
  'undici, retryStale': () => byUndici(createAgent({ connections: 1, retryStale: true })),
}

async function lane(make, counts) {
  const { ask, end } = make()
  await ask()
  for (let i = 0; i < REQUESTS_PER_ROUND; i++) {
    await delay(age + (Math.random() * 2 - 1) * JITTER_MS)
    const { reused, failed } = await ask()
    counts.requests++
    if (reused) counts.reused++
    if (reused && failed) counts.failed++
  }
  await end()
}

const results = []
for (let round = 0; round < rounds; round++) {
  const counts = Object.fromEntries(
    Object.keys(contenders).map((name) => [name, { requests: 0, reused: 0, failed: 0 }]),
  )
  const lanes = Object.entries(contenders).flatMap(([name, make]) =>
    Array.from({ length: LANES }, async () => {
      // Not all at once.
      await delay(Math.random() * age)
      await lane(make, counts[name])
    }),
  )
  await Promise.all(lanes)
  results.push(counts)
}
server.kill()
console.log(JSON.stringify(results))
process.exit()

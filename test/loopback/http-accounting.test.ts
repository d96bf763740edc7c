import { fork } from 'node:child_process'
import diagnostics from 'node:diagnostics_channel'
import http from 'node:http'
import https from 'node:https'
import type net from 'node:net'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { HttpAgent, HttpsAgent } from '../../src/http/index.js'
import { certificate } from '../support/certificate.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { nextMessage } from '../support/next-message.js'
import { until } from '../support/until.js'

const REQUESTS = 10_000
const WORKERS = 40
/** One request of so many ends its connection, each time in another way. */
const EVERY = 43
const ends = ['last', 'close', 'reset', 'never', ...(hasNetAdmin ? ['vanish'] : [])]

const { key, cert } = certificate()
const profile = { initialDelay: 1_000, interval: 1_000, count: 1 }
const options = { profile, freeSocketTimeout: 0, rejectUnauthorized: false }

it.each([
  { name: 'HttpAgent', make: () => new HttpAgent(options), get: http.get, args: [] },
  {
    name: 'HttpsAgent',
    make: () => new HttpsAgent(options),
    get: https.get,
    args: [String(key), String(cert)],
  },
] as const)(
  'counts as a server that counts for itself: $name',
  async ({ make, get, args }) => {
    const script = fileURLToPath(new URL('fixtures/counting-server.mjs', import.meta.url))
    const child = fork(script, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    const { port } = await nextMessage(child)
    const agent = make()

    /** The connection of a request, once it is done with it. */
    async function ask(path: string, localAddress: string): Promise<net.Socket> {
      const request = get({ host: '127.0.0.1', port, path: `/${path}`, agent, localAddress })
      const ended = new Promise<void>((resolve) => request.on('close', resolve))
      let socket: net.Socket | undefined
      request.on('socket', (given) => {
        socket = given
      })
      request.on('error', () => {})
      if (path === 'never') request.setTimeout(20, () => request.destroy())
      request.on('response', (response) => response.resume())
      await ended
      return socket!
    }

    /** Each has a connection to itself: what ends it is known. */
    async function work(worker: number): Promise<void> {
      for (let i = worker; i < REQUESTS; i += WORKERS) {
        const end = i % EVERY === 0 ? ends[(i / EVERY) % ends.length]! : 'ok'
        const socket = await ask(end, `127.0.0.${10 + worker}`)
        if (end !== 'ok' && !socket.closed) await new Promise((resolve) => socket.on('close', resolve))
      }
    }

    const told: Record<string, number> = {}
    const hear = (message: unknown) => {
      const { agent: whose, how = 'opened' } = message as { agent: unknown; how?: string }
      if (whose === agent) told[how] = (told[how] ?? 0) + 1
    }
    for (const name of ['opened', 'closed']) diagnostics.subscribe(`deadpeer:http:${name}`, hear)

    await Promise.all(Array.from({ length: WORKERS }, (_, worker) => work(worker)))
    const total = () => agent.snapshot().total
    const open = total().open
    agent.destroy()
    await until(() => total().open === 0)
    const counted = async () => {
      child.send('how many')
      return nextMessage(child)
    }
    // It hears nothing more from those it has vanished from.
    let seen = await counted()
    const deadline = performance.now() + 10_000
    while (seen.counts.open !== seen.requests.vanish && performance.now() < deadline) seen = await counted()

    const { counts, requests } = seen
    const known = Object.values(requests as Record<string, number>).reduce((sum, n) => sum + n, 0)
    expect(known).toBe(REQUESTS)
    const { reuseRatio, ...numbers } = total()
    expect(numbers).toEqual({
      opened: counts.opened,
      open: 0,
      closedByPeer: counts.closedByServer,
      closedByUs: counts.closedByClient,
      reset: counts.reset,
      timedOut: requests.vanish,
      failedToOpen: 0,
      requests: REQUESTS,
      reusedRequests: REQUESTS - counts.opened,
      staleReusesAvoided: 0,
      staleReuses: 0,
      retried: 0,
      failedRequests: requests.reset + requests.never,
    })
    const { opened, closedByPeer, closedByUs, reset, timedOut } = numbers
    expect(told).toEqual({ opened, closedByPeer, closedByUs, reset, ...(timedOut > 0 && { timedOut }) })
    expect(reuseRatio).toBe((REQUESTS - counts.opened) / REQUESTS)
    expect(counts).toMatchObject({ closedByClient: requests.never + open })
    for (const end of ends) expect(requests[end], end).toBeGreaterThan(40)
  },
  120_000,
)

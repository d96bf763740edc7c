import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { certificate } from '../support/certificate.js'
import { countOf, messageFrom, names, play, type Servers } from '../support/orderly-closes.mjs'

// Connections that both sides close in order, to servers in another process. Whether a TLS close ends with a reset depends on timing,
// so each way of closing is played many times, with 1 to 100 connections at once. DEADPEER_TEST_FULL=1 plays 2,000 each.
// test/netns/orderly-close.test.ts plays them over a wire with a delay.

const often = (usual: number) => (process.env.DEADPEER_TEST_FULL ? 2_000 : usual)

const children: ChildProcess[] = []
afterAll(() => {
  for (const child of children) child.disconnect()
})

async function serve(host: string, options: object = {}, env: NodeJS.ProcessEnv = {}): Promise<Servers> {
  const { key, cert } = certificate()
  const settings = JSON.stringify({ key: String(key), cert: String(cert), host, ...options })
  const script = fileURLToPath(new URL('fixtures/tls-server.mjs', import.meta.url))
  const server = fork(script, [settings], { execArgv: [], env: { ...process.env, ...env } })
  children.push(server)
  const ports = (await messageFrom(server)) as Record<string, number>
  return { host, ports, server, rejectUnauthorized: false }
}

const noErrors = { clientErrors: 0, sessionErrors: 0, socketErrors: 0 }

describe('an orderly close', () => {
  describe.each([
    { host: '127.0.0.1', atOnce: 1, count: often(20) },
    { host: '127.0.0.1', atOnce: 10, count: often(60) },
    { host: '127.0.0.1', atOnce: 100, count: often(100) },
    { host: '::1', atOnce: 10, count: often(40) },
  ])('over $host, $atOnce at once', ({ host, atOnce, count }) => {
    it.each(names)(
      'is no death and raises no error for a client: %s',
      async (way) => {
        const at = await serve(host)
        const before = await play(way, at, { watched: false, count, atOnce })
        expect(before.answered).toBe(count)
        await countOf(at)
        const watched = await play(way, at, { watched: true, count, atOnce })
        expect(watched.answered).toBe(count)
        expect(watched.deaths).toEqual([])
        expect(watched.errors).toBeLessThanOrEqual(before.errors)
        const { connections } = await countOf(at)
        expect(watched.stats).toMatchObject({ added: connections, closed: connections, dead: 0 })
        if (watched.total) {
          expect(watched.total).toMatchObject({
            opened: connections,
            reset: 0,
            timedOut: 0,
            failedRequests: 0,
          })
          expect(watched.total.closedByPeer + watched.total.closedByUs).toBe(connections)
        }
      },
      600_000,
    )
  })

  it.each(names)(
    'raises no error on a watched server: %s',
    async (way) => {
      const at = await serve('127.0.0.1', { watched: true })
      const count = often(60)
      const { answered } = await play(way, at, { watched: false, count, atOnce: 10 })
      expect(answered).toBe(count)
      const { connections, ...counts } = await countOf(at)
      expect(connections).toBeGreaterThan(0)
      expect(counts).toMatchObject({
        ...noErrors,
        watcher: { added: connections, closed: connections, dead: 0 },
      })
    },
    600_000,
  )

  it.each(names)(
    'prints no warning under register with DEADPEER_WATCH=report: %s',
    async (way) => {
      const at = await serve('127.0.0.1', { register: true }, { DEADPEER_WATCH: 'report' })
      const count = often(60)
      const { answered } = await play(way, at, { watched: false, count, atOnce: 10 })
      expect(answered).toBe(count)
      expect(await countOf(at)).toMatchObject({ ...noErrors, warnings: [] })
    },
    600_000,
  )
})

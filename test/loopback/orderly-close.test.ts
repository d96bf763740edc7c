import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { watch } from '../../src/index.js'
import { nextMessage } from '../next-message.js'
import { certificate } from './certificate.js'
import { play, type Servers, ways } from './orderly-closes.js'

// Connections that both sides close in order, against servers in another process: whether a TLS close ends with a reset depends on timing,
// so each way is played many times. DEADPEER_TEST_FULL=1: 2,000 each.

const count = process.env.DEADPEER_TEST_FULL ? 2_000 : 150

interface Server {
  readonly at: Servers
  readonly child: ChildProcess
}

const children: ChildProcess[] = []
afterAll(() => {
  for (const child of children) child.disconnect()
})

async function serve(host: string, options: object = {}): Promise<Server> {
  const { key, cert } = certificate()
  const settings = JSON.stringify({ key: String(key), cert: String(cert), host, ...options })
  const script = fileURLToPath(new URL('fixtures/tls-server.mjs', import.meta.url))
  const child = fork(script, [settings], { execArgv: [], env: { ...process.env, ...options } })
  children.push(child)
  const ports: Record<string, number> = await nextMessage(child)
  return { at: { host, ports, rejectUnauthorized: false }, child }
}

async function countOf({ child }: Server) {
  child.send('count')
  const counts = await nextMessage(child)
  return counts as Record<'connections' | 'clientErrors' | 'sessionErrors' | 'socketErrors', number> & {
    watcher: { dead: number; added: number; watching: number }
  }
}

describe('an orderly close', () => {
  describe.each(['127.0.0.1', '::1'])('over %s', (host) => {
    it.each(Object.keys(ways))(
      'is no death and raises no error for a client: %s',
      async (way) => {
        const server = await serve(host)
        const before = await play(way, server.at, undefined, count, 10)
        const accepted = (await countOf(server)).connections
        const watcher = watch()
        const deaths: unknown[] = []
        watcher.on('dead', ({ error }) => deaths.push(error))
        const watched = await play(way, server.at, watcher, count, 10)
        expect(before.answered).toBe(before.played)
        expect(watched.answered).toBe(watched.played)
        expect(deaths).toEqual([])
        expect(watched.errors).toBeLessThanOrEqual(before.errors)
        const connections = (await countOf(server)).connections - accepted
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
        watcher.close()
      },
      120_000,
    )
  })

  it.each(Object.keys(ways))(
    'raises no clientError on a watched server: %s',
    async (way) => {
      const server = await serve('127.0.0.1', { watched: true })
      const { answered, played } = await play(way, server.at, undefined, count, 10)
      expect(answered).toBe(played)
      const counts = await countOf(server)
      expect(counts).toMatchObject({ clientErrors: 0, sessionErrors: 0, socketErrors: 0 })
      expect(counts.connections).toBeGreaterThan(0)
      expect(counts.watcher).toMatchObject({ dead: 0, added: counts.connections })
    },
    120_000,
  )

  it('raises no error where the server closes with connections open', async () => {
    const server = await serve('127.0.0.1', { watched: true })
    const playing = play('HTTPS on kept connections', server.at, watch(), count, 10)
    const { errors, stats } = await playing
    server.child.send('close')
    expect(errors).toBe(0)
    expect(stats).toMatchObject({ dead: 0 })
    expect(await countOf(server)).toMatchObject({ clientErrors: 0, watcher: { dead: 0 } })
  }, 120_000)
})

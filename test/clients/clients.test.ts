import type { EventEmitter } from 'node:events'
import type net from 'node:net'
import { afterAll, describe, expect, it } from 'vitest'
import { detectionTime, inspect } from '../../src/index.js'
import { hasNetAdmin } from '../loopback/need-net-admin.js'
import { latest, timed } from '../tolerance.js'
import { QUICK, removeExamples, runExample } from './guide.js'
import { type RealServer, startPostgres, startRedis } from './servers.js'
import { silence } from './silence.js'

// The guide's examples, as they stand, with real clients and real servers: the profile is in force, the server's end vanishes, the client's own
// error handling runs within the predicted time, and then it works again.

const servers = {
  postgres: await startPostgres(),
  redis: await startRedis(),
}
const closing: (() => unknown)[] = []
afterAll(async () => {
  for (const close of closing) await close()
  for (const server of Object.values(servers)) await server?.stop()
  removeExamples()
})

/** What a client tells of, and when. To be called before it can happen. */
function nextError(
  client: EventEmitter,
  event = 'error',
): Promise<{ error: NodeJS.ErrnoException; at: number }> {
  return new Promise((resolve) => {
    client.once(event, (error) => resolve({ error, at: performance.now() }))
  })
}

/** Idle, or with something in flight: both clocks start at the last thing heard. */
function expectInTime(after: number): void {
  const { idle, inFlight } = detectionTime(QUICK)
  expect(after).toBeGreaterThan(500)
  if (timed) expect(after).toBeLessThan(latest(Math.max(idle, inFlight)))
}

async function vanish(server: RealServer, socket: net.Socket): Promise<number> {
  expect(inspect(socket).profile).toMatchObject({ enable: true, ...QUICK })
  await silence(server.port, socket.localPort!)
  return performance.now()
}

const can = (server: RealServer | undefined) => hasNetAdmin && server !== undefined
const itIf = (possible: boolean) => (possible ? it.concurrent : it.skip)

describe('the guide', () => {
  itIf(can(servers.postgres))('PostgreSQL: pg', async () => {
    const server = servers.postgres!
    process.env.DATABASE_URL = `postgres://postgres@127.0.0.1:${server.port}/postgres`
    const { pool } = await runExample('PostgreSQL: pg', 'pool')
    closing.push(() => pool.end())
    const client = await pool.connect()
    const socket: net.Socket = client.connection.stream
    const failed = nextError(pool)
    client.release()
    const start = await vanish(server, socket)
    const { error, at } = await failed
    expect(error.code).toBe('ETIMEDOUT')
    expectInTime(at - start)
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect(pool.totalCount).toBe(1)
  })

  itIf(can(servers.postgres))('PostgreSQL: pg, in the middle of a query', async () => {
    const server = servers.postgres!
    process.env.DATABASE_URL = `postgres://postgres@127.0.0.1:${server.port}/postgres`
    const { pool } = await runExample('PostgreSQL: pg', 'pool')
    const client = await pool.connect()
    client.on('error', () => {})
    const asleep = client.query('select pg_sleep(30)').catch((error: Error) => error)
    const start = await vanish(server, client.connection.stream)
    const error = await asleep
    expect(error).toMatchObject({ code: 'ETIMEDOUT' })
    expectInTime(performance.now() - start)
    client.release(error)
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  itIf(can(servers.redis))('Redis: ioredis', async () => {
    const server = servers.redis!
    process.env.REDIS_URL = `redis://127.0.0.1:${server.port}`
    const { redis } = await runExample('Redis: ioredis', 'redis')
    closing.push(() => redis.disconnect())
    await redis.set('a', '1')
    const { stream } = redis
    const failed = nextError(redis)
    const start = await vanish(server, stream)
    const { error, at } = await failed
    expect(error.code).toBe('ETIMEDOUT')
    expectInTime(at - start)
    expect(await redis.get('a')).toBe('1')
    expect(redis.stream).not.toBe(stream)
    expect(inspect(redis.stream).profile).toMatchObject(QUICK)
  })
})

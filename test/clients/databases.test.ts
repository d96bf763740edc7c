import { Redis } from 'ioredis'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { listSockets, type SocketRecord } from '../../src/host.js'
import { detectionTime, inspect } from '../../src/index.js'
import { hasNetAdmin } from '../loopback/need-net-admin.js'
import { until } from '../loopback/until.js'
import { latest, timed } from '../tolerance.js'
import { Forwarder } from './forwarder.js'
import { commandsOf, QUICK, removeExamples, runExampleWith } from './guide.js'
import { startMongoStub } from './mongodb-stub.js'
import { Program } from './program.js'
import { freePort, type RealServer, startMariaDB, startPostgres, startRedis } from './servers.js'
import { borrowEnds } from './silence.js'

// The guide's clients of databases and caches, with real servers, in all situations in which a server can go silent.

const [postgres, redis, cluster, mariadb, mongodb] = await Promise.all([
  startPostgres(),
  startRedis(),
  startRedisCluster(),
  startMariaDB(),
  startMongoStub(),
])
const DEADPEER_RUN = 'node-redis, BullMQ, ioredis Cluster, postgres.js, mongodb'
const program = new Program(commandsOf(DEADPEER_RUN)[0]!)
// The examples print the errors that the tests provoke.
vi.spyOn(console, 'error').mockImplementation(() => {})

const closing: (() => unknown)[] = [() => program.stop()]
afterAll(async () => {
  for (const close of closing) await close()
  for (const server of [postgres, redis, cluster, mariadb, mongodb]) await server?.stop()
  removeExamples()
})

interface Client {
  /** Sends a request that the server answers at once. */
  request(): Promise<unknown>
  /** Sends a request that the server answers after 3 s at the earliest, or never. */
  wait?(): Promise<unknown>
}

interface Library {
  readonly name: string
  readonly server: { readonly port: number } | undefined
  /** Whether `wait` works: the blocking request of a BullMQ worker is its own. */
  readonly waits: boolean
  open(port: number): Promise<Client>
}

const byExample: Library[] = [
  {
    name: 'PostgreSQL: pg',
    server: postgres,
    async open(port: number): Promise<Client> {
      const env = { DATABASE_URL: `postgres://postgres@127.0.0.1:${port}/postgres` }
      const { pool } = await runExampleWith(env, this.name, 'pool')
      closing.push(() => pool.end())
      return { request: () => pool.query('select 1'), wait: () => pool.query('select pg_sleep(60)') }
    },
  },
  {
    name: 'PostgreSQL: knex',
    server: postgres,
    async open(port: number): Promise<Client> {
      const env = { DATABASE_URL: `postgres://postgres@127.0.0.1:${port}/postgres` }
      const { database } = await runExampleWith(env, this.name, 'database')
      closing.push(() => database.destroy())
      return { request: () => database.raw('select 1'), wait: () => database.raw('select pg_sleep(60)') }
    },
  },
  {
    name: 'MySQL and MariaDB: mysql2',
    server: mariadb,
    async open(port: number): Promise<Client> {
      const env = { MYSQL_URL: `mysql://root@127.0.0.1:${port}/mysql` }
      const { pool } = await runExampleWith(env, this.name, 'pool')
      closing.push(() => pool.end())
      return { request: () => pool.query('select 1'), wait: () => pool.query('select sleep(60)') }
    },
  },
  {
    name: 'Redis: ioredis',
    server: redis,
    async open(port: number): Promise<Client> {
      const env = { REDIS_URL: `redis://127.0.0.1:${port}` }
      const example = await runExampleWith(env, this.name, 'redis', 'subscriber')
      closing.push(() => example.redis.disconnect())
      closing.push(() => example.subscriber.disconnect())
      await example.subscriber.subscribe(`channel-${port}`)
      return { request: () => example.redis.ping(), wait: () => example.redis.blpop('empty', 3) }
    },
  },
].map((library) => ({ ...library, waits: true }))

const byCommand: Library[] = [
  { name: 'node-redis 5', server: redis },
  { name: 'node-redis 4', server: redis },
  { name: 'BullMQ', server: redis },
  { name: 'postgres.js', server: postgres },
  { name: 'mongodb', server: mongodb },
].map((library) => ({
  ...library,
  waits: library.name !== 'BullMQ',
  async open(port: number): Promise<Client> {
    return openInProgram(this.name, port)
  },
}))

async function openInProgram(library: string, port: number): Promise<Client> {
  await program.call({ library, port, method: 'open' })
  return {
    request: () => program.call({ library, port, method: 'request' }),
    wait: () => program.call({ library, port, method: 'wait' }),
  }
}

/** One node that has all slots, once the cluster is up. */
async function startRedisCluster(): Promise<RealServer | undefined> {
  const ports = ['--cluster-port', String(await freePort()), '--cluster-announce-ip', '127.0.0.1']
  const server = await startRedis('--cluster-enabled', 'yes', ...ports)
  if (!server) return undefined
  const node = new Redis(server.port)
  await node.cluster('ADDSLOTSRANGE', 0, 16_383)
  await until(async () => /^cluster_state:ok/.test(String(await node.cluster('INFO'))))
  node.disconnect()
  return server
}

const { idle, inFlight } = detectionTime(QUICK)

/** The client's ends of the connections to a port. */
async function openTo(serverPort: number): Promise<SocketRecord[]> {
  return [...(await listSockets({ states: ['established'], remotePort: serverPort }))]
}

/** Resolves when the client has closed all connections of these ports. Checks how long that took. */
async function expectClosedInTime(
  serverPort: number,
  ports: readonly number[],
  limit: number,
): Promise<void> {
  const start = performance.now()
  await until(async () => !(await openTo(serverPort)).some(({ local }) => ports.includes(local.port)))
  const after = performance.now() - start
  expect(after).toBeGreaterThan(500)
  if (timed) expect(after).toBeLessThan(latest(limit))
}

/** The client's own means: the next request works, on connections that all have the profile. */
async function expectRecovery(client: Client, forwarder: Forwarder): Promise<void> {
  await client.request()
  const connections = await borrowEnds(await openTo(forwarder.port))
  expect(connections.length).toBeGreaterThan(0)
  for (const each of connections) expect(inspect(each).profile).toMatchObject({ enable: true, ...QUICK })
}

/** That a promise is settled, whichever way. */
function settledOf(promise: Promise<unknown>): { settled: boolean } {
  const state = { settled: false }
  const settle = () => {
    state.settled = true
  }
  promise.then(settle, settle)
  return state
}

async function forward({ server }: Library, silentFirst = false): Promise<Forwarder> {
  const forwarder = await Forwarder.start(server!.port, silentFirst)
  closing.push(() => forwarder.stop())
  return forwarder
}

const libraries = [...byExample, ...byCommand]
const canRun = ({ server }: Library) => hasNetAdmin && server !== undefined

describe.concurrent.each(libraries.filter(canRun))(
  '$name: closes the connection in time and recovers when the server goes silent',
  (library) => {
    it('before login', async () => {
      const forwarder = await forward(library, true)
      const client = await library.open(forwarder.port)
      const first = client.request().catch((error: Error) => error)
      await until(() => forwarder.accepted.length > 0)
      await expectClosedInTime(forwarder.port, [forwarder.accepted[0]!], Math.max(idle, inFlight))
      await first
      await expectRecovery(client, forwarder)
    })

    it('while the connection is idle', async () => {
      const forwarder = await forward(library)
      const client = await library.open(forwarder.port)
      await client.request()
      const ports = await forwarder.silence()
      await expectClosedInTime(forwarder.port, ports, idle)
      await expectRecovery(client, forwarder)
    })

    it.skipIf(!library.waits)('while a request waits for its answer', async () => {
      const forwarder = await forward(library)
      const client = await library.open(forwarder.port)
      await client.request()
      const { received } = forwarder
      const state = settledOf(client.wait!())
      await until(() => forwarder.received > received)
      const ports = await forwarder.silence()
      const connections = forwarder.accepted.length
      await expectClosedInTime(forwarder.port, ports, idle)
      // It fails, or the client sends it again on a new connection.
      await until(() => state.settled || forwarder.accepted.length > connections)
      await expectRecovery(client, forwarder)
    })

    it('just before a request is sent', async () => {
      const forwarder = await forward(library)
      const client = await library.open(forwarder.port)
      await client.request()
      const ports = await forwarder.silence()
      const request = client.request().catch((error: Error) => error)
      await expectClosedInTime(forwarder.port, ports, Math.max(idle, inFlight))
      await request
      await expectRecovery(client, forwarder)
    })
  },
)

it.skipIf(!hasNetAdmin || !cluster)(
  'ioredis Cluster: closes the connections to the node and for pub/sub in time, and recovers',
  async () => {
    const forwarder = await Forwarder.start(cluster!.port)
    closing.push(() => forwarder.stop())
    // The node tells the client where to connect to.
    const node = new Redis(cluster!.port)
    await node.config('SET', 'cluster-announce-port', forwarder.port)
    node.disconnect()
    const client = await openInProgram('ioredis Cluster', forwarder.port)
    await client.request()
    await until(async () => (await subscribersOf(cluster!.port)) > 0)
    const ports = await forwarder.silence()
    const request = client.request().catch((error: Error) => error)
    await expectClosedInTime(forwarder.port, ports, Math.max(idle, inFlight))
    await request
    await until(async () => (await subscribersOf(cluster!.port)) > 0)
    await expectRecovery(client, forwarder)
  },
)

/** How many connections for pub/sub a node has: ioredis gives them a name. */
async function subscribersOf(port: number): Promise<number> {
  const node = new Redis(port)
  const list = String(await node.client('LIST'))
  node.disconnect()
  return list.split('\n').filter((line) => line.includes('ioredis-cluster(subscriber)')).length
}

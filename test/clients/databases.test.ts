import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, describe, expect, it, vi } from 'vitest'
import type { SocketRecord } from '../../src/host/index.js'
import { detectionTime, type Profile } from '../../src/index.js'
import { DatabaseClients } from '../support/database-clients-process.js'
import { startMariaDB, startPostgres, startRedis } from '../support/database-servers.js'
import { expectInTime, importExample, QUICK, removeExamples } from '../support/guide-examples.js'
import { freePort, type RealServer } from '../support/installed-server.js'
import { startMongoStub } from '../support/mongodb-stub.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { listConnections, Relay, type Silent } from '../support/relay.js'
import { until } from '../support/until.js'

// The guide's clients of databases and caches, with real servers that go silent. All trials go through their steps together: connect, the
// server goes silent, the client closes its connections, it recovers. So nothing else runs while the closing is timed.

const DEADPEER_RUN = 'node-redis, BullMQ, ioredis Cluster, postgres.js, mongodb'
const [program, postgres, redis, cluster, mariadb, mongodb] = await Promise.all([
  DatabaseClients.start(DEADPEER_RUN),
  startPostgres(),
  startRedis(),
  startRedisCluster(),
  startMariaDB(),
  startMongoStub(),
])
// The examples and knex print the errors that the tests provoke.
for (const method of ['error', 'warn'] as const) vi.spyOn(console, method).mockImplementation(() => {})

const closing: (() => unknown)[] = [() => program.stop()]
afterAll(async () => {
  const servers = [postgres, redis, cluster, mariadb, mongodb]
  // Together, so that a client that does not close leaves no server behind.
  await Promise.allSettled([
    ...closing.map(async (close) => close()),
    ...servers.map((server) => server?.stop()),
  ])
  removeExamples()
})

const situations = [
  'before login',
  'while the connections are idle',
  'while a request waits for its answer',
  'just before a request is sent',
] as const
type Situation = (typeof situations)[number]

interface Client {
  /** Sends a request that the server answers at once. */
  request(): Promise<unknown>
  /** Sends a request that the server does not answer for a minute. */
  wait(): Promise<unknown>
  /** Makes the server answer it. */
  answer?(): Promise<unknown>
}

interface Library {
  readonly name: string
  readonly server: RealServer | undefined
  /** Default: the client. */
  readonly speaksFirst?: 'server'
  /** What becomes of a request whose connection is closed. Default: the client sends it again. */
  readonly fails?: RegExp
  /** How many connections it opens. Default: 1. */
  readonly connections?: number
  /** Default: all. */
  readonly situations?: readonly Situation[]
  open(port: number): Promise<Client>
}

const byExample: Library[] = [
  {
    name: 'PostgreSQL: pg',
    server: postgres,
    fails: /ETIMEDOUT/,
    async open(port) {
      const env = { DATABASE_URL: `postgres://postgres@127.0.0.1:${port}/postgres` }
      const { pool } = await importExample({ heading: this.name, env }, 'pool')
      closing.push(() => pool.end())
      return { request: () => pool.query('select 1'), wait: () => pool.query('select pg_sleep(60)') }
    },
  },
  {
    name: 'PostgreSQL: knex',
    server: postgres,
    fails: /ETIMEDOUT/,
    async open(port) {
      const env = { DATABASE_URL: `postgres://postgres@127.0.0.1:${port}/postgres` }
      const { database } = await importExample({ heading: this.name, env }, 'database')
      closing.push(() => database.destroy())
      // knex starts a query when then() is called.
      const query = (sql: string) => database.raw(sql).then((result: unknown) => result)
      return { request: () => query('select 1'), wait: () => query('select pg_sleep(60)') }
    },
  },
  {
    name: 'MySQL and MariaDB: mysql2',
    server: mariadb,
    speaksFirst: 'server',
    fails: /ETIMEDOUT/,
    async open(port) {
      const env = { MYSQL_URL: `mysql://root@127.0.0.1:${port}/mysql` }
      const { pool } = await importExample({ heading: this.name, env }, 'pool')
      closing.push(() => pool.end())
      return { request: () => pool.query('select 1'), wait: () => pool.query('select sleep(60)') }
    },
  },
  {
    name: 'Redis: ioredis',
    server: redis,
    connections: 2,
    async open(port) {
      const env = { REDIS_URL: `redis://127.0.0.1:${port}` }
      const example = await importExample({ heading: this.name, env }, 'redis', 'subscriber')
      closing.push(() => example.redis.disconnect())
      closing.push(() => example.subscriber.disconnect())
      await example.subscriber.subscribe(`channel-${port}`)
      return {
        request: () => example.redis.ping(),
        wait: () => example.redis.blpop(`list-${port}`, 60),
        answer: () => askRedis(redis!, (node) => node.rpush(`list-${port}`, 'element')),
      }
    },
  },
]

const byCommand: Library[] = [
  { name: 'node-redis 5', server: redis, fails: /ETIMEDOUT/, open: inProgram },
  { name: 'node-redis 4', server: redis, fails: /ETIMEDOUT/, open: inProgram },
  { name: 'postgres.js', server: postgres, fails: /ETIMEDOUT/, open: inProgram },
  { name: 'mongodb', server: mongodb, fails: /ETIMEDOUT/, connections: 2, open: inProgram },
  {
    name: 'BullMQ',
    server: redis,
    connections: 2,
    // An idle worker is what waits for an answer.
    situations: situations.filter((each) => each !== 'while a request waits for its answer'),
    open: inProgram,
  },
  {
    name: 'ioredis Cluster',
    server: cluster,
    connections: 2,
    // A node tells its clients one port, so one trial at a time.
    situations: ['just before a request is sent'],
    async open(port) {
      await askRedis(cluster!, (node) => node.config('SET', 'cluster-announce-port', port))
      return inProgram.call(this, port)
    },
  },
]

async function inProgram(this: Library, port: number): Promise<Client> {
  return {
    request: () => program.call({ library: this.name, port, method: 'request' }),
    wait: () => program.call({ library: this.name, port, method: 'wait' }),
  }
}

/** One node that has all slots, once the cluster is up. */
async function startRedisCluster(): Promise<RealServer | undefined> {
  const ports = ['--cluster-port', String(await freePort()), '--cluster-announce-ip', '127.0.0.1']
  const server = await startRedis('--cluster-enabled', 'yes', ...ports)
  if (!server) return undefined
  await askRedis(server, (node) => node.cluster('ADDSLOTSRANGE', 0, 16_383))
  const isUp = async () =>
    /^cluster_state:ok/.test(String(await askRedis(server, (node) => node.cluster('INFO'))))
  await until(isUp, 20_000, 100)
  return server
}

/** Asks a server on a connection of the test's own. */
async function askRedis<Answer>(
  { port }: RealServer,
  ask: (node: Redis) => Promise<Answer>,
): Promise<Answer> {
  const node = new Redis(port)
  try {
    return await ask(node)
  } finally {
    node.disconnect()
  }
}

/** One client, and one situation in which its server goes silent. */
class Trial {
  /** What went wrong in a step; later steps are left out. */
  error: unknown
  /** When one of its silent connections was last seen open. How late a busy machine looks again does not matter then. */
  lastOpenAt = 0
  isClosed = false
  silent: Silent | undefined
  outcome: PromiseSettledResult<unknown> | undefined
  /** Of all connections after the recovery. */
  profiles: Profile[] = []
  #relay!: Relay
  #client!: Client
  /** The request that was not answered before the server went silent. */
  #request: Promise<PromiseSettledResult<unknown>> | undefined

  constructor(
    readonly library: Library,
    readonly situation: Situation,
  ) {}

  async connect(): Promise<void> {
    const { library, situation } = this
    const isHeld = situation === 'before login'
    this.#relay = await Relay.start(library.server!.port, isHeld ? { first: 'held' } : {})
    closing.push(() => this.#relay.stop())
    const opening = library.open(this.#relay.port).then((client) => {
      this.#client = client
      return client.request()
    })
    if (isHeld) {
      this.#request = settled(opening)
      await this.#relay.untilHeld(library.speaksFirst ?? 'client')
      return
    }
    await opening
    await this.#untilConnected()
    if (situation !== 'while a request waits for its answer') return
    const { received } = this.#relay
    this.#request = settled(this.#client.wait())
    await until(() => this.#relay.received > received, 30_000)
  }

  async silence(): Promise<void> {
    const { situation } = this
    this.silent = await (situation === 'before login' ? this.#relay.silenceHeld() : this.#relay.silence())
    if (situation === 'just before a request is sent') this.#request = settled(this.#client.request())
  }

  async recover(): Promise<void> {
    if (this.situation === 'while a request waits for its answer') await this.#client.answer?.()
    this.outcome = await this.#request
    await this.#client.request()
    await this.#untilConnected()
    const connections = await this.#connections()
    // A connection is tuned in the turn of the event loop that opens it. An answer to a later request shows that this turn is over.
    await this.#client.request()
    this.profiles = await Promise.all(connections.map(({ local }) => this.#relay.profileOf(local.port)))
  }

  /** The client's ends. */
  async #connections(): Promise<SocketRecord[]> {
    return [...(await listConnections()).values()].filter(({ remote }) => remote.port === this.#relay.port)
  }

  async #untilConnected(): Promise<void> {
    const { connections = 1 } = this.library
    await until(async () => (await this.#connections()).length >= connections, 30_000)
  }

  async attempt(step: () => Promise<void>): Promise<void> {
    if (this.error) return
    try {
      await step()
    } catch (error) {
      this.error = error
    }
  }
}

async function settled(promise: Promise<unknown>): Promise<PromiseSettledResult<unknown>> {
  const [result] = await Promise.allSettled([promise])
  return result
}

/** Notes until when each trial's silent connections are open. */
async function timeClosings(trials: readonly Trial[]): Promise<void> {
  const deadline = performance.now() + 15_000
  const isPending = ({ error, isClosed }: Trial) => !error && !isClosed
  while (trials.some(isPending) && performance.now() < deadline) {
    const now = performance.now()
    const open = await listConnections()
    for (const trial of trials.filter(isPending)) {
      if (!trial.silent) continue
      if (trial.silent.ends.some((end) => open.has(end))) trial.lastOpenAt = now
      else trial.isClosed = true
    }
    await delay(10)
  }
  // A client that waits on a silent connection would not come to an end.
  for (const trial of trials.filter(isPending))
    trial.error = new Error('A silent connection is still open after 15 s.')
}

const libraries = [...byExample, ...byCommand].filter(({ server }) => hasNetAdmin && server !== undefined)
const trials = libraries.flatMap((library) =>
  (library.situations ?? situations).map((situation) => new Trial(library, situation)),
)
await Promise.all(trials.map((trial) => trial.attempt(() => trial.connect())))
const silencing = trials.map((trial) => trial.attempt(() => trial.silence()))
await Promise.all([...silencing, timeClosings(trials)])
await Promise.all(trials.map((trial) => trial.attempt(() => trial.recover())))

describe('the client closes its connections in time and recovers when the server stops answering', () => {
  it.skipIf(trials.length === 0).each(trials)('with $library.name $situation', (trial) => {
    const { library, situation, error, isClosed, lastOpenAt, silent, outcome, profiles } = trial
    if (error) throw error
    const { idle, inFlight } = detectionTime(QUICK)
    const limit = situation === 'just before a request is sent' ? Math.max(idle, inFlight) : idle
    expect(isClosed).toBe(true)
    expectInTime(lastOpenAt - silent!.since, limit)
    if (outcome?.status === 'rejected') expect(String(outcome.reason)).toMatch(library.fails ?? 'no failure')
    expect(profiles.length).toBeGreaterThanOrEqual(library.connections ?? 1)
    for (const profile of profiles) expect(profile).toMatchObject({ enable: true, ...QUICK })
  })
})

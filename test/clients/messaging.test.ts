import type { MqttClient } from 'mqtt'
import type { Client } from 'ssh2'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type MqttBroker,
  type SshServer,
  startMosquitto,
  startNats,
  startRabbit,
  startSshd,
} from '../support/database-servers.js'
import { startExample } from '../support/guide-example-process.js'
import { expectInTime, importExample, QUICK, removeExamples } from '../support/guide-examples.js'
import { freePort, type RealServer } from '../support/installed-server.js'
import { startKafkaBroker } from '../support/kafka-broker.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { Relay } from '../support/relay.js'
import { until } from '../support/until.js'

// The guide's examples for brokers and SSH, each in three situations: the server goes silent before it has sent anything, while the connection is
// idle, and with a request in flight. The profile is QUICK instead of the guide's.

/** What a test does with a client, whichever it is. */
interface Running {
  /** Until a request is answered. */
  works(): Promise<void>
  /** Sends a request; what becomes of it is the client's business. */
  request(): void
  /** When the client told of the loss of a connection. To be called before. Absent where it does not tell. */
  lost?(): Promise<number>
}

interface Library {
  readonly name: string
  /** Absent where it is not installed; of Kafka a stub for each relay, since brokers tell clients their own port. */
  readonly server: RealServer | ((relayPort: () => number) => Promise<RealServer>) | undefined
  /** A client for each of these ports. */
  start(ports: readonly number[]): readonly Running[] | Promise<readonly Running[]>
}

/** Each client in this process. */
const inProcess = (start: (port: number) => Promise<Running>) => (ports: readonly number[]) =>
  Promise.all(ports.map(start))

/** Clients first, then what they are connected to. */
const closing: (() => unknown)[] = []

/** When a client emits this next. What `events.once` makes of an 'error' is not wanted here. */
const next = (client: { once(event: 'close', listener: () => void): unknown }, event: 'close') =>
  new Promise<number>((resolve) => client.once(event, () => resolve(performance.now())))

function mqttIn(client: MqttClient): Running {
  closing.unshift(() => client.end(true))
  const publish = () => client.publishAsync('topic', 'hello', { qos: 1 })
  return {
    works: async () => void (await publish()),
    request: () => void publish().catch(() => {}),
    lost: () => next(client, 'close'),
  }
}

/**
 * All clients in one program, started as the guide says. It answers `work` with `answered`, tries to for `lose`, and says `lost` when it has lost
 * a connection.
 */
const inProgram =
  (example: Omit<Parameters<typeof startExample>[0], 'ports'>) => (ports: readonly number[]) => {
    const { runs, stop } = startExample({ ...example, ports })
    closing.unshift(stop)
    return runs.map((run): Running => {
      let answers = 0
      return {
        async works() {
          await run.said('ready')
          run.send('work')
          await run.said('answered', ++answers)
        },
        request: () => run.send('lose'),
        lost: () => run.said('lost'),
      }
    })
  }

process.env.KAFKAJS_LOG_LEVEL = 'nothing'
// Before anything is timed: while a library is loaded, nothing else runs here.
await Promise.all([import('mqtt'), import('kafkajs'), import('ssh2'), import('deadpeer/http')])

const starting = await Promise.allSettled([startMosquitto(), startRabbit(), startNats(), startSshd()])
const failure = starting.find((each) => each.status === 'rejected')
if (failure) {
  // No afterAll runs then.
  for (const each of starting) if (each.status === 'fulfilled') await each.value?.stop()
  throw failure.reason
}
const [mosquitto, rabbit, nats, sshd] = starting.map(
  (each) => (each as PromiseFulfilledResult<unknown>).value,
) as [MqttBroker | undefined, RealServer | undefined, RealServer | undefined, SshServer | undefined]
afterAll(async () => {
  for (const close of closing) await close()
  await Promise.all([mosquitto, rabbit, nats, sshd].map((server) => server?.stop()))
  removeExamples()
})

const amqplib = {
  heading: 'RabbitMQ: amqplib',
  port: 5672,
  env: (port: number) => ({ AMQP_URL: `amqp://127.0.0.1:${port}` }),
  added: `
    connection.on('disconnect', () => say('lost'))
    function answer(line) {
      const declared = connection.createChannel().then((channel) => channel.assertQueue('', { exclusive: true }))
      declared.then(() => line === 'work' && say('answered'), () => {})
    }
    say('ready')`,
}

const libraries: Library[] = [
  {
    name: 'mqtt over TCP',
    server: mosquitto,
    start: inProcess(async (port) => {
      const env = { MQTT_URL: `mqtt://127.0.0.1:${port}` }
      return mqttIn((await importExample({ heading: 'MQTT: mqtt', env }, 'client')).client)
    }),
  },
  {
    name: 'mqtt over WebSocket',
    server: mosquitto && { ...mosquitto, port: mosquitto.webSocketPort },
    start: inProcess(async (port) => {
      const env = { MQTT_URL: `ws://127.0.0.1:${port}` }
      return mqttIn((await importExample({ heading: 'MQTT: mqtt', index: 1, env }, 'client')).client)
    }),
  },
  {
    name: 'amqplib',
    server: rabbit,
    start: inProgram(amqplib),
  },
  {
    name: 'nats',
    server: nats,
    start: inProgram({
      heading: 'NATS: nats',
      port: 4222,
      env: (port) => ({ NATS_URL: `127.0.0.1:${port}` }),
      added: `
        const told = async () => {
          for await (const { type } of connection.status()) if (type === 'disconnect') say('lost')
        }
        told()
        function answer(line) {
          connection.publish('subject')
          connection.flush().then(() => line === 'work' && say('answered'), () => {})
        }
        say('ready')`,
    }),
  },
  {
    name: 'kafkajs',
    server: startKafkaBroker,
    start: inProcess(async (port) => {
      const env = { KAFKA_BROKER: `127.0.0.1:${port}` }
      const { kafka } = await importExample({ heading: 'Kafka: kafkajs', env }, 'kafka')
      const admin = kafka.admin()
      const connected: Promise<void> = admin.connect()
      closing.unshift(() => admin.disconnect())
      return {
        async works() {
          await connected
          expect(await admin.listTopics()).toEqual(['topic'])
        },
        request: () => void admin.listTopics().catch(() => {}),
      }
    }),
  },
  {
    name: 'ssh2',
    server: sshd,
    start: inProcess(async (port) => {
      const { user, key } = sshd!
      const env = { SSH_HOST: '127.0.0.1', SSH_PORT: `${port}`, SSH_USER: user, SSH_KEY: key }
      const example = await importExample({ heading: 'SSH and SFTP: ssh2', env }, 'client')
      let current: Client | undefined
      let isReady = false
      // The example makes a client for each connection. A login takes many milliseconds.
      const looking = setInterval(() => {
        if (current === example.client) return
        current = example.client as Client
        isReady = false
        current.on('ready', () => (isReady = true)).on('close', () => (isReady = false))
      }, 1)
      closing.unshift(() => {
        clearInterval(looking)
        current?.removeAllListeners('close').destroy()
      })
      const run = () =>
        new Promise<string>((resolve, reject) => {
          current!.exec('echo hello', (error, stream) => {
            if (error) reject(error)
            else stream.on('data', (data: Buffer) => resolve(String(data)))
          })
        })
      return {
        async works() {
          await until(() => isReady)
          expect(await run()).toBe('hello\n')
        },
        request: () => void run().catch(() => {}),
        lost: () => next(current!, 'close'),
      }
    }),
  },
]

async function relayTo(server: NonNullable<Library['server']>, silentFirst = false): Promise<Relay> {
  if (typeof server !== 'function') {
    const relay = await Relay.start(server.port, silentFirst ? { first: 'silent' } : {})
    closing.push(() => relay.stop())
    return relay
  }
  let port = 0
  const stub = await server(() => port)
  const relay = await Relay.start(stub.port, silentFirst ? { first: 'silent' } : {})
  port = relay.port
  closing.push(() => relay.stop())
  closing.push(stub.stop)
  return relay
}

/** The latest connection goes silent: the client tells of it in time, its socket is gone, and the next request is answered. */
async function loses(relay: Relay, running: Running, meanwhile = () => {}): Promise<void> {
  await running.works()
  const client = relay.clients.at(-1)!
  expect(await relay.profileOf(client)).toMatchObject(QUICK)
  const { since } = await relay.silence([client])
  const lost = running.lost?.()
  meanwhile()
  expectInTime((await relay.lastSeen(client)) - since)
  if (lost) expectInTime((await lost) - since)
  await running.works()
  expect(relay.clients.at(-1)).not.toBe(client)
}

describe.concurrent.each(libraries)('$name', ({ server, start }) => {
  const isPossible = hasNetAdmin && server !== undefined
  const itIf = isPossible ? it : it.skip
  let relays: Relay[]
  let clients: readonly Running[]
  beforeAll(async () => {
    if (!isPossible) return
    relays = await Promise.all([relayTo(server, true), relayTo(server), relayTo(server)])
    clients = await start(relays.map(({ port }) => port))
  })

  itIf('gives up a server that stops answering before login, and connects again', async () => {
    expectInTime(await relays[0]!.firstLasted)
    await clients[0]!.works()
    expect(relays[0]!.clients.length).toBeGreaterThan(1)
  })

  itIf('notices in time that the server is gone while the connection is idle, and connects again', () =>
    loses(relays[1]!, clients[1]!),
  )

  itIf('notices in time that the server is gone with a request in flight, and connects again', () =>
    loses(relays[2]!, clients[2]!, clients[2]!.request),
  )
})

it.skipIf(rabbit === undefined)('amqplib connects again when the first attempt is refused', async () => {
  const port = await freePort()
  const { runs, stop } = startExample({
    ...amqplib,
    ports: [port],
    edit: (text) => `
      import diagnostics from 'node:diagnostics_channel'
      diagnostics.subscribe('net.client.socket', ({ socket }) => socket.on('error', ({ code }) => say(code)))
      ${text}`,
  })
  closing.unshift(stop)
  await runs[0]!.said('ECONNREFUSED')
  const relay = await Relay.start(rabbit!.port, { port })
  closing.push(() => relay.stop())
  await runs[0]!.said('ready')
  runs[0]!.send('work')
  await runs[0]!.said('answered')
})

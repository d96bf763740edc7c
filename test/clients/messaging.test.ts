import type { MqttClient } from 'mqtt'
import type { Client } from 'ssh2'
import { afterAll, describe, expect, it } from 'vitest'
import { detectionTime } from '../../src/index.js'
import { hasNetAdmin } from '../loopback/need-net-admin.js'
import { until } from '../loopback/until.js'
import { latest, timed } from '../tolerance.js'
import { type ExampleProcess, startExample } from './example-process.js'
import { QUICK } from './guide.js'
import { importExample, removeImported } from './import-example.js'
import { startKafkaBroker } from './kafka-broker.js'
import { type Relay, startRelay } from './relay.js'
import { type RealServer, startMosquitto, startNats, startRabbit, startSshd } from './servers.js'

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
  /** Absent where it is not installed; of Kafka a stub for each test, since brokers tell clients their own port. */
  readonly server: RealServer | ((relayPort: () => number) => Promise<RealServer>) | undefined
  start(port: number): Running | Promise<Running>
}

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

/** A program that answers `work` with `answered` or `failed`, and may say `lost`. */
function processIn(example: ExampleProcess, saysLost: boolean): Running {
  closing.unshift(example.stop)
  let losses = 0
  let answers = 0
  return {
    works: async () => {
      await example.said('ready')
      example.send('work')
      await example.said('answered', ++answers)
    },
    request: () => example.send('lose'),
    ...(saysLost && { lost: () => example.said('lost', ++losses) }),
  }
}

process.env.KAFKAJS_LOG_LEVEL = 'nothing'
const [mosquitto, rabbit, nats, sshd] = await Promise.all([
  startMosquitto(),
  startRabbit(),
  startNats(),
  startSshd(),
])
afterAll(async () => {
  for (const close of closing) await close()
  await Promise.all([mosquitto, rabbit, nats, sshd].map((server) => server?.stop()))
  removeImported()
})

const libraries: Library[] = [
  {
    name: 'mqtt over TCP',
    server: mosquitto,
    async start(port) {
      const env = { MQTT_URL: `mqtt://127.0.0.1:${port}` }
      return mqttIn((await importExample({ heading: 'MQTT: mqtt', env }, 'client')).client)
    },
  },
  {
    name: 'mqtt over WebSocket',
    server: mosquitto && { ...mosquitto, port: mosquitto.webSocketPort },
    async start(port) {
      const env = { MQTT_URL: `ws://127.0.0.1:${port}` }
      return mqttIn((await importExample({ heading: 'MQTT: mqtt', index: 1, env }, 'client')).client)
    },
  },
  {
    name: 'amqplib',
    server: rabbit,
    start: (port) =>
      processIn(
        startExample({
          heading: 'RabbitMQ: amqplib',
          ports: [5672, port],
          env: { AMQP_URL: `amqp://127.0.0.1:${port}` },
          added: `
            connection.on('disconnect', () => say('lost'))
            function answer(line) {
              const declared = connection.createChannel().then((channel) => channel.assertQueue('', { exclusive: true }))
              declared.then(() => line === 'work' && say('answered'), () => {})
            }
            say('ready')`,
        }),
        true,
      ),
  },
  {
    name: 'nats',
    server: nats,
    start: (port) =>
      processIn(
        startExample({
          heading: 'NATS: nats',
          ports: [4222, port],
          env: { NATS_URL: `127.0.0.1:${port}` },
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
        true,
      ),
  },
  {
    name: 'kafkajs',
    server: startKafkaBroker,
    async start(port) {
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
    },
  },
  {
    name: 'ssh2',
    server: sshd,
    async start(port) {
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
    },
  },
]

/** Idle, or with something in flight: both clocks start at the last thing heard. */
function expectInTime(after: number): void {
  const { idle, inFlight } = detectionTime(QUICK)
  expect(after).toBeGreaterThan(500)
  if (timed) expect(after).toBeLessThan(latest(Math.max(idle, inFlight)))
}

async function relayTo(server: NonNullable<Library['server']>, silentFirst = false): Promise<Relay> {
  if (typeof server !== 'function') {
    const relay = await startRelay(server.port, { silentFirst })
    closing.push(relay.stop)
    return relay
  }
  let port = 0
  const stub = await server(() => port)
  const relay = await startRelay(stub.port, { silentFirst })
  port = relay.port
  closing.push(relay.stop)
  closing.push(stub.stop)
  return relay
}

/** The latest connection goes silent: the client tells of it in time, its socket is gone, and the next request is answered. */
async function loses(relay: Relay, running: Running, meanwhile = () => {}): Promise<void> {
  await running.works()
  const client = relay.clients.at(-1)!
  expect(await relay.profileOf(client)).toMatchObject(QUICK)
  const silent = await relay.silence()
  const lost = running.lost?.()
  meanwhile()
  expectInTime((await relay.endOf(client)) - silent)
  if (lost) expectInTime((await lost) - silent)
  await running.works()
  expect(relay.clients.at(-1)).not.toBe(client)
}

describe.concurrent.each(libraries)('$name', ({ server, start }) => {
  const itIf = hasNetAdmin && server !== undefined ? it : it.skip

  itIf('gives up a server that goes silent before login, and connects again', async () => {
    const relay = await relayTo(server!, true)
    const running = await start(relay.port)
    const silent = await relay.silentSince()
    expectInTime((await relay.endOf(relay.clients[0]!)) - silent)
    await running.works()
    expect(relay.clients.length).toBeGreaterThan(1)
  })

  itIf(
    'notices in time that the server is gone while the connection is idle, and connects again',
    async () => {
      const relay = await relayTo(server!)
      await loses(relay, await start(relay.port))
    },
  )

  itIf('notices in time that the server is gone with a request in flight, and connects again', async () => {
    const relay = await relayTo(server!)
    const running = await start(relay.port)
    await loses(relay, running, running.request)
  })
})

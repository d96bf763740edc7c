import { type EventEmitter, once } from 'node:events'
import type net from 'node:net'
import { afterAll, describe, expect, it } from 'vitest'
import { detectionTime, inspect } from '../../src/index.js'
import { hasNetAdmin } from '../loopback/need-net-admin.js'
import { until } from '../loopback/until.js'
import { latest, timed } from '../tolerance.js'
import { QUICK, removeExamples, runExample } from './guide.js'
import { freePort, type RealServer, startMosquitto, startRabbit } from './servers.js'
import { silence } from './silence.js'

// The guide's examples, as they stand, with real clients and real servers: the profile is in force, the server's end vanishes, the client's own
// error handling runs within the predicted time, and then it works again.

const servers = {
  mosquitto: await startMosquitto(),
  rabbit: await startRabbit(),
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
  itIf(can(servers.mosquitto))('MQTT: mqtt', async () => {
    const server = servers.mosquitto!
    process.env.MQTT_URL = `mqtt://127.0.0.1:${server.port}`
    const { client } = await runExample('MQTT: mqtt', 'client')
    closing.push(() => client.end(true))
    await once(client, 'connect')
    const { stream } = client
    await until(() => inspect(stream).profile.count === QUICK.count)
    const closed = nextError(client, 'close')
    const connected = nextError(client, 'connect')
    const start = await vanish(server, stream)
    expectInTime((await closed).at - start)
    await connected
    const heard = once(client, 'message')
    await client.subscribeAsync('topic')
    await client.publishAsync('topic', 'hello')
    expect(String((await heard)[1])).toBe('hello')
  })

  itIf(can(servers.rabbit))('RabbitMQ: amqplib', async () => {
    const server = servers.rabbit!
    process.env.AMQP_URL = `amqp://127.0.0.1:${server.port}`
    const example = await runExample('RabbitMQ: amqplib', 'connection')
    const first = example.connection
    const failed = nextError(first)
    const start = await vanish(server, first.connection.stream)
    const { error, at } = await failed
    expect(error.message).toMatch(/ETIMEDOUT/)
    expectInTime(at - start)
    await until(() => example.connection !== first)
    const again = example.connection
    await until(() => inspect(again.connection.stream).profile.count === QUICK.count)
    const channel = await again.createChannel()
    expect((await channel.assertQueue('', { exclusive: true })).messageCount).toBe(0)
    again.removeAllListeners('close')
    await again.close()
  })

  itIf(hasNetAdmin)('WebSocket: ws', async () => {
    const port = await freePort()
    process.env.WS_PORT = String(port)
    const { server, socket } = await runExample('WebSocket: ws', 'server', 'socket')
    closing.push(() => server.close())
    await until(() => socket.readyState === socket.OPEN && server.clients.size === 1)
    const [peer] = server.clients
    peer.on('error', () => {})
    expect(inspect(peer).profile).toMatchObject(QUICK)
    const closed = nextError(socket, 'close')
    const start = await vanish({ port, stop: async () => {} }, socket._socket)
    const { error: code, at } = await closed
    expect(code).toBe(1006)
    expectInTime(at - start)
    peer.terminate()
  })
})

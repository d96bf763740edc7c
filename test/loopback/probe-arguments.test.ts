import { spawn } from 'node:child_process'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { afterAll, describe, expect, it } from 'vitest'
import { borrowSocket } from '../../src/host.js'
import { inspect, type ProbeOptions, probe, probeAll, type Target } from '../../src/index.js'
import { descriptorOf, handleOf } from '../../src/socket/target.js'
import type { Pair } from './connections.js'
import { awaitIdle, idlePair, kernelOptions, sentBy } from './idle.js'
import { until } from './until.js'

const closing: (() => void)[] = []
afterAll(() => {
  for (const close of closing) close()
})

/** Runs something that has to fail, and makes sure that of a connection that could be asked nothing was. */
async function expectRefused(run: (idle: Pair) => Promise<unknown>, refusal: object): Promise<void> {
  const pair = await idlePair()
  const before = { sent: sentBy(pair.socket), options: kernelOptions(pair.socket) }
  await expect(run(pair)).rejects.toMatchObject(refusal)
  // As long as a probe needs to leave, and more.
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect({ sent: sentBy(pair.socket), options: kernelOptions(pair.socket) }).toEqual(before)
}

async function listening<S extends net.Server>(server: S, where: object | string): Promise<S> {
  server.listen(where)
  await once(server, 'listening')
  closing.push(() => server.close())
  return server
}

const server = await listening(net.createServer(), { port: 0, host: '127.0.0.1' })
const path = `\0deadpeer-probe-arguments-${process.pid}`
await listening(net.createServer(), path)
const unix = net.connect(path)
await once(unix, 'connect')
closing.push(() => unix.destroy())
const udp = await bindUdp()
const connecting = await connectInVain()

async function bindUdp(): Promise<number> {
  const socket = dgram.createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  closing.push(() => socket.close())
  const state = Object.getOwnPropertySymbols(socket).find(
    ({ description }) => description === 'state symbol',
  )!
  return (socket as unknown as Record<symbol, { handle: { fd: number } }>)[state]!.handle.fd
}

/** To a listener whose queue of connections to be accepted is full: SYNs are not answered. */
async function connectInVain(): Promise<net.Socket> {
  const full = spawn(
    'python3',
    [
      '-c',
      `import socket, sys
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(0)
first = socket.create_connection(listener.getsockname())
print(listener.getsockname()[1], flush=True)
sys.stdin.read()`,
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  const [port] = await once(full.stdout!, 'data')
  const socket = net.connect(Number(String(port)), '127.0.0.1').on('error', () => {})
  closing.push(() => {
    socket.destroy()
    full.stdin!.end()
  })
  await until(() => descriptorOf(socket) >= 0)
  return socket
}

const notATarget = { code: 'ERR_INVALID_ARG_TYPE', field: 'target' }
const notTcp = { code: 'ERR_NOT_TCP' }
const notConnected = { code: 'ERR_SOCKET_CLOSED', message: expect.stringMatching(/not connected yet/) }

describe.concurrent('what is no connection: refused, and none of the others was asked', () => {
  const cases: [string, unknown, object][] = [
    ['nothing', undefined, notATarget],
    ['null', null, notATarget],
    ['a string', 'socket', notATarget],
    ['an object', {}, notATarget],
    ['a server', server, notATarget],
    ['an http.Server', http.createServer(), notATarget],
    ['a listening descriptor', handleOf(server)!.fd, notATarget],
    ['a listening socket, borrowed', borrowSocket(process.pid, handleOf(server)!.fd!), notATarget],
    ['a negative number', -1, notATarget],
    ['a fraction', 3.5, notATarget],
    ['a number of 33 bits', 2 ** 32, notATarget],
    ['a Unix socket', unix, notTcp],
    ["a Unix socket's descriptor", descriptorOf(unix), notTcp],
    ['a UDP descriptor', udp, notTcp],
    ['a file', openSync('/dev/null', 'r'), notTcp],
    ['a socket that never connected', new net.Socket(), notConnected],
    ['a socket that is connecting', connecting, notConnected],
    ["a connecting socket's descriptor", descriptorOf(connecting), notConnected],
  ]
  it.each(cases)('%s', async (_, target, refusal) => {
    await expectRefused(({ socket, peer }) => probeAll([socket, target as Target, peer]), refusal)
    await expect(probe(target as Target)).rejects.toMatchObject(refusal)
  })

  it('a request without a socket yet', async () => {
    const request = http.get({ port: (server.address() as net.AddressInfo).port, host: '127.0.0.1' })
    request.on('error', () => {})
    await expect(probe(request)).rejects.toMatchObject({
      code: 'ERR_SOCKET_CLOSED',
      message: expect.stringMatching(/'socket'/),
    })
    request.destroy()
  })

  it.each([undefined, null, 5, {}])('targets that are no list: %s', async (targets) => {
    await expect(probeAll(targets as never)).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'targets',
    })
  })

  it('nothing is sent by a socket that is connecting', async () => {
    const { segsOut, retransmits } = inspect(connecting).info!
    // The SYN, and what was sent again of it: none of ours.
    expect(segsOut).toBe(1 + retransmits)
  })
})

describe.concurrent('bad options: refused, and nothing was asked', () => {
  const type = { code: 'ERR_INVALID_ARG_TYPE' }
  const range = { code: 'ERR_OUT_OF_RANGE' }
  const cases: [object, string, object][] = [
    ...[0, -1, 1.5, 101, Number.NaN, Number.POSITIVE_INFINITY].map((attempts): (typeof cases)[number] => [
      { attempts },
      'attempts',
      range,
    ]),
    ...['3', null, 3n, {}].map((attempts): (typeof cases)[number] => [{ attempts }, 'attempts', type]),
    ...[0, -1, 1.5, 60_001, Number.NaN].map((timeout): (typeof cases)[number] => [
      { timeout },
      'timeout',
      range,
    ]),
    ...['300', null].map((timeout): (typeof cases)[number] => [{ timeout }, 'timeout', type]),
    ...['now', null, {}, new EventTarget(), new AbortController()].map((signal): (typeof cases)[number] => [
      { signal },
      'signal',
      type,
    ]),
    ...['print', null, {}].map((onAnswer): (typeof cases)[number] => [{ onAnswer }, 'onAnswer', type]),
    [{ onanswer: () => {} }, 'onanswer', { ...type, message: expect.stringContaining('onAnswer') }],
  ]
  it.each(cases)('%o', async (options, field, refusal) => {
    await expectRefused(({ socket }) => probe(socket, options as ProbeOptions), { ...refusal, field })
  })

  it.each([null, 3, 'three'])('options that are none: %s', async (options) => {
    await expectRefused(({ socket }) => probe(socket, options as never), { ...type, field: 'options' })
  })

  it('before anything else: with no targets, too', async () => {
    await expect(probeAll([], { attempts: 0 })).rejects.toMatchObject({ ...range, field: 'attempts' })
  })

  it('the least and the most are taken', async () => {
    const { socket } = await idlePair()
    for (const options of [
      { attempts: 1, timeout: 1 },
      { attempts: 100, timeout: 60_000 },
    ]) {
      await awaitIdle(socket)
      expect(await probe(socket, options)).toMatchObject({ alive: true, evidence: 'ack', attempts: 1 })
    }
  })
})

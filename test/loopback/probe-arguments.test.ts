import { spawn } from 'node:child_process'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { afterAll, describe, expect, it } from 'vitest'
import { descriptorOf, handleOf } from '../../src/connection/target.js'
import { borrowSocket } from '../../src/host/index.js'
import { inspect, type ProbeOptions, probe, probeAll, type Target } from '../../src/index.js'
import type { Pair } from '../support/connections.js'
import { awaitIdle, idlePair, kernelOptions, sentBy } from '../support/idle-connections.js'
import { until } from '../support/until.js'

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

describe.concurrent('a target that cannot be probed', () => {
  interface Row {
    readonly what: string
    readonly target: unknown
    readonly refusal: object
    /** probe waits until it is connected, so only probeAll refuses it. */
    readonly isWaitedFor?: boolean
  }
  const rows: Row[] = [
    { what: 'nothing', target: undefined, refusal: notATarget },
    { what: 'null', target: null, refusal: notATarget },
    { what: 'a string', target: 'socket', refusal: notATarget },
    { what: 'an object', target: {}, refusal: notATarget },
    { what: 'a server', target: server, refusal: notATarget },
    { what: 'an http.Server', target: http.createServer(), refusal: notATarget },
    { what: 'a listening descriptor', target: handleOf(server)!.fd, refusal: notATarget },
    {
      what: 'a listening socket, borrowed',
      target: borrowSocket(process.pid, handleOf(server)!.fd!),
      refusal: notATarget,
    },
    { what: 'a negative number', target: -1, refusal: notATarget },
    { what: 'a fraction', target: 3.5, refusal: notATarget },
    { what: 'a number of 33 bits', target: 2 ** 32, refusal: notATarget },
    { what: 'a Unix socket', target: unix, refusal: notTcp },
    { what: "a Unix socket's descriptor", target: descriptorOf(unix), refusal: notTcp },
    { what: 'a UDP descriptor', target: udp, refusal: notTcp },
    { what: 'a file', target: openSync('/dev/null', 'r'), refusal: notTcp },
    {
      what: 'a socket that never connected',
      target: new net.Socket(),
      refusal: notConnected,
      isWaitedFor: true,
    },
    { what: 'a socket that is connecting', target: connecting, refusal: notConnected, isWaitedFor: true },
    {
      what: "a connecting socket's descriptor",
      target: descriptorOf(connecting),
      refusal: notConnected,
    },
  ]
  it.each(rows)(
    'gets an error from probeAll, which probes the others: $what',
    async ({ target, refusal }) => {
      const { socket, peer } = await idlePair()
      const results = await probeAll([socket, target as Target, peer])
      expect(results).toEqual([
        expect.objectContaining({ alive: true }),
        {
          alive: undefined,
          evidence: 'error',
          error: expect.objectContaining(refusal),
          attempts: 0,
          idleFor: Number.NaN,
        },
        expect.objectContaining({ alive: true }),
      ])
    },
  )

  it.each(rows.filter(({ isWaitedFor }) => !isWaitedFor))(
    'makes probe reject: $what',
    async ({ target, refusal }) => {
      await expect(probe(target as Target)).rejects.toMatchObject(refusal)
    },
  )

  it.each(rows.filter(({ isWaitedFor }) => isWaitedFor))(
    'makes probe wait until it is aborted: $what',
    async ({ target }) => {
      const answers: unknown[] = []
      const abort = new AbortController()
      const result = probe(target as Target, {
        signal: abort.signal,
        onAnswer: (answer) => answers.push(answer),
      })
      await new Promise((resolve) => setTimeout(resolve, 50))
      abort.abort()
      const aborted = { alive: undefined, evidence: 'aborted', attempts: 0, idleFor: Number.NaN }
      expect(await result).toEqual(aborted)
      expect(answers).toEqual([aborted])
      expect((target as net.Socket).listenerCount('connect')).toBe(0)
    },
  )

  it.each([undefined, null, 5, {}])(
    'makes probeAll reject if it is passed instead of a list: %s',
    async (targets) => {
      await expect(probeAll(targets as never)).rejects.toMatchObject({
        code: 'ERR_INVALID_ARG_TYPE',
        field: 'targets',
      })
    },
  )

  it('is sent no probe while it is connecting', async () => {
    const { segsOut, retransmits } = inspect(connecting).info!
    // The SYN and its retransmissions, and no probe.
    expect(segsOut).toBe(1 + retransmits)
  })
})

describe.concurrent('probe', () => {
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
  it.each(cases)('refuses %o without sending a probe', async (options, field, refusal) => {
    await expectRefused(({ socket }) => probe(socket, options as ProbeOptions), { ...refusal, field })
  })

  it.each([null, 3, 'three'])('refuses %s instead of options without sending a probe', async (options) => {
    await expectRefused(({ socket }) => probe(socket, options as never), { ...type, field: 'options' })
  })

  it('checks the options of probeAll even if the list of targets is empty', async () => {
    await expect(probeAll([], { attempts: 0 })).rejects.toMatchObject({ ...range, field: 'attempts' })
  })

  it('accepts the smallest and the largest values of its options', async () => {
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

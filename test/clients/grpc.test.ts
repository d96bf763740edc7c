import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import grpc from '@grpc/grpc-js'
import { expect, it, onTestFinished } from 'vitest'
import { detectionTime, inspect } from '../../src/index.js'
import { connectionsOf } from '../support/connections-of-process.js'
import { commandsOf, expectInTime, QUICK } from '../support/guide-examples.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { silence } from '../support/silent-server.js'
import { until } from '../support/until.js'

// gRPC: grpc-js shows its connections to nobody, so its program is started as the guide says.

const same = (bytes: Buffer) => bytes
const echo = {
  path: '/test/Echo',
  requestStream: false,
  responseStream: false,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
} as const

interface Message {
  readonly call?: string
  readonly code?: number
  readonly answer?: string
  readonly state?: string
}

/** A server that answers with what it was sent, but never to `never`, and a program that calls it. */
async function start() {
  /** The port that each call came from. */
  const calls: { text: string; from: number }[] = []
  const server = new grpc.Server()
  server.addService(
    { Echo: echo },
    {
      Echo: (call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => {
        const text = String(call.request)
        calls.push({ text, from: Number(call.getPeer().split(':').at(-1)) })
        if (text !== 'never') answer(null, call.request)
      },
    },
  )
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  const [command] = commandsOf('gRPC: @grpc/grpc-js')
  const [, rules, flags] = /^DEADPEER_RULES=(\S+) node (.*) app\.js$/.exec(command!) ?? []
  const child = fork(fileURLToPath(new URL('fixtures/grpc-client.mjs', import.meta.url)), [String(port)], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    execArgv: flags!.split(' '),
    env: { ...process.env, DEADPEER_RULES: rules!.replace('50051', String(port)) },
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
    server.forceShutdown()
  })
  const messages: Message[] = []
  child.on('message', (message) => messages.push(message as Message))
  await once(child, 'message')

  async function call(text: string): Promise<Message> {
    const before = messages.length
    child.send(text)
    await until(() => messages.slice(before).some((message) => message.call === text))
    return messages.slice(before).find((message) => message.call === text)!
  }

  async function optionsOf(from: number) {
    return inspect((await connectionsOf(child.pid!)).get(from)!.socket).profile
  }
  return { port, calls, messages, call, optionsOf }
}

it.skipIf(!hasNetAdmin)(
  'fails a gRPC call in time when the server goes silent during it, and the next call works',
  async () => {
    const { port, calls, call, optionsOf } = await start()
    expect(await call('first')).toMatchObject({ answer: 'first' })
    const { from } = calls[0]!
    expect(await optionsOf(from)).toMatchObject(QUICK)
    const failing = call('never')
    await until(() => calls.some(({ text }) => text === 'never'))
    await silence(port, from)
    const begin = performance.now()
    expect(await failing).toMatchObject({ code: grpc.status.UNAVAILABLE })
    expectInTime(performance.now() - begin, detectionTime(QUICK).idle)
    expect(await call('again')).toMatchObject({ answer: 'again' })
    const later = calls.find(({ text }) => text === 'again')!.from
    expect(later).not.toBe(from)
    expect(await optionsOf(later)).toMatchObject(QUICK)
  },
)

it.skipIf(!hasNetAdmin)(
  'tells a gRPC channel in time that its idle connection is dead, and the next call works',
  async () => {
    const { port, calls, messages, call } = await start()
    expect(await call('first')).toMatchObject({ answer: 'first' })
    await until(() => messages.some(({ state }) => state === 'READY'))
    const before = messages.length
    await silence(port, calls[0]!.from)
    const begin = performance.now()
    await until(() => messages.slice(before).some(({ state }) => state === 'IDLE'))
    expectInTime(performance.now() - begin, detectionTime(QUICK).idle)
    expect(await call('again')).toMatchObject({ answer: 'again' })
    expect(calls.at(-1)!.from).not.toBe(calls[0]!.from)
  },
)

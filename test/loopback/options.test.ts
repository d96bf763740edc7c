import dgram from 'node:dgram'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { describe, expect, it, onTestFinished } from 'vitest'
import { capabilities, inspect, type Profile, type Target, tune } from '../../src/index.js'
import { nativeCore } from '../../src/kernel/binding.js'
import { type OptionName, type OptionRow, optionNames, optionTable } from '../../src/kernel/socket-options.js'
import { certificate } from '../support/certificate.js'
import { connectPair, listen } from '../support/connections.js'
import { hasRtoMax } from '../support/kernel-version.js'

const { options: supported } = capabilities()

/** Two values of each option that are not the system's, to see each change. */
const values: { [Name in OptionName]: [Profile[Name], Profile[Name]] } = {
  enable: [true, false],
  initialDelay: [11_000, 32_767_000],
  interval: [1_000, 7_000],
  count: [3, 127],
  userTimeout: [12_345, 2 ** 31 - 1],
  synCount: [2, 127],
  rtoMax: [1_000, 60_000],
  failOnIcmp: [true, false],
}

type Connection = { socket: Target; close?: () => void }

const connections: Record<string, () => Promise<Connection>> = {
  IPv4: async () => ({ socket: (await connectPair()).socket }),
  IPv6: async () => ({ socket: (await connectPair({ host: '::1' })).socket }),
  'dual-stack, accepted from IPv4': async () => {
    const server = net.createServer({ pauseOnConnect: true })
    const port = await listen(server, '::')
    const socket = net.connect(port, '127.0.0.1')
    const [peer] = (await once(server, 'connection')) as [net.Socket]
    finish(() => [socket.destroy(), peer.destroy(), server.close()])
    expect(peer.remoteAddress).toBe('::ffff:127.0.0.1')
    return { socket: peer }
  },
  'TLS client': async () => ({ socket: (await connectTls()).client }),
  'TLS server': async () => ({ socket: (await connectTls()).accepted }),
  'a descriptor': async () => ({ socket: fdOf((await connectPair()).socket) }),
}

/** A kernel before Linux 6.15: a typed error and nothing changed, or without it where that is allowed. */
function expectLacked(socket: Target): void {
  expect(supported.rtoMax).toBe(false)
  const before = inspect(socket).profile
  expect(before).not.toHaveProperty('rtoMax')
  const profile = { initialDelay: 21_000, rtoMax: 5_000 }
  expect(refusalOf(() => tune(socket, profile))).toMatchObject({
    code: 'ERR_UNSUPPORTED_OPTION',
    field: 'rtoMax',
    message: expect.stringContaining('Linux 6.15'),
  })
  expect(inspect(socket).profile).toEqual(before)
  tune(socket, profile, { bestEffort: true })
  expect(inspect(socket).profile).toEqual({ ...before, enable: true, initialDelay: 21_000 })
}

describe.each(Object.entries(connections).map(([kind, open]) => ({ kind, open })))('$kind', ({ open }) => {
  it.each(optionNames)('reads back %s after tune has set it', async (name) => {
    const { socket } = await open()
    if (name === 'rtoMax' && !hasRtoMax) {
      expectLacked(socket)
      return
    }
    expect(supported[name]).toBe(true)
    for (const value of values[name]) {
      tune(socket, { [name]: value })
      expect(inspect(socket).profile[name]).toBe(value)
    }
  })

  it.each(optionNames)('is unchanged by a %s out of range or of a wrong type', async (name) => {
    const { socket } = await open()
    tune(socket, { initialDelay: 10_000, userTimeout: 20_000, failOnIcmp: true })
    const before = inspect(socket).profile
    const row: OptionRow = optionTable[name]
    const bad =
      row.kind === 'boolean'
        ? ['yes', 1, null]
        : [row.min - row.unit, row.max + row.unit, '5', null, Number.NaN]
    for (const value of bad) {
      // With others beside it that are good, none of which may be set.
      const profile = { initialDelay: 20_000, interval: 2_000, rtoMax: 5_000, [name]: value } as Profile
      const code =
        typeof value === 'number' && row.kind !== 'boolean' ? 'ERR_OUT_OF_RANGE' : 'ERR_INVALID_ARG_TYPE'
      expect(refusalOf(() => tune(socket, profile))).toMatchObject({
        code,
        field: name,
        constant: row.constant,
      })
      expect(inspect(socket).profile).toEqual(before)
    }
  })
})

describe('the table of options', () => {
  it('is the same in TypeScript and in the native core', () => {
    const native = nativeCore()!.options
    const ours = optionNames.map((name) => {
      const { constant, unit, min, max } = optionTable[name]
      return { name, constant, unit, min, max }
    })
    expect(native).toEqual(ours)
  })

  it.each(optionNames)('has its range of %s checked again by the native core', (name) => {
    const core = nativeCore()!
    const row: OptionRow = optionTable[name]
    for (const value of [row.min - 1, row.max === 2 ** 31 - 1 ? row.min - 2 : row.max + 1]) {
      const numbers = Float64Array.from(optionNames, (each) => (each === name ? value : Number.NaN))
      expect(core.compile(numbers)).toEqual({ errno: -22, option: name, written: [] })
    }
  })
})

describe('tune of anything but an open TCP socket', () => {
  it('throws ERR_SOCKET_CLOSED after close', async () => {
    const { socket } = await connectPair()
    socket.destroy()
    await once(socket, 'close')
    const calls = optionNames.map((name) => () => tune(socket, { [name]: values[name][0] }))
    for (const call of [...calls, () => tune(socket, 'lan'), () => inspect(socket)]) {
      expect(refusalOf(call)).toMatchObject({ code: 'ERR_SOCKET_CLOSED' })
    }
  })

  it('throws ERR_NOT_TCP for a Unix socket, even for options that a Unix socket accepts', async () => {
    const path = join(tmpdir(), `deadpeer-${process.pid}.sock`)
    const server = net.createServer().listen(path)
    await once(server, 'listening')
    const socket = net.connect(path)
    await once(socket, 'connect')
    finish(() => [socket.destroy(), server.close()])
    for (const profile of [
      'lan',
      'patient',
      { enable: true },
      { synCount: 3 },
      { failOnIcmp: true },
    ] as const) {
      expect(refusalOf(() => tune(socket, profile))).toMatchObject({ code: 'ERR_NOT_TCP' })
      expect(refusalOf(() => tune(server, profile))).toMatchObject({ code: 'ERR_NOT_TCP' })
    }
    expect(refusalOf(() => inspect(socket))).toMatchObject({ code: 'ERR_NOT_TCP' })
  })

  it('throws ERR_NOT_TCP for a UDP descriptor', async () => {
    const socket = dgram.createSocket('udp4')
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    finish(() => [socket.close()])
    const fd = datagramFd(socket)
    for (const profile of ['lan', 'patient', { enable: true }, { failOnIcmp: true }] as const) {
      expect(refusalOf(() => tune(fd, profile))).toMatchObject({ code: 'ERR_NOT_TCP' })
    }
    expect(refusalOf(() => inspect(fd))).toMatchObject({ code: 'ERR_NOT_TCP' })
  })

  it('throws ERR_NOT_TCP for a file', () => {
    const fd = openSync('/dev/null', 'r')
    finish(() => [closeSync(fd)])
    expect(refusalOf(() => tune(fd, 'lan'))).toMatchObject({ code: 'ERR_NOT_TCP', syscall: 'getsockopt' })
  })

  it('throws ERR_SOCKET_CLOSED for a descriptor that is not open', () => {
    const calls = optionNames.map((name) => () => tune(19_999, { [name]: values[name][0] }))
    for (const call of [...calls, () => tune(19_999, 'lan')]) {
      expect(refusalOf(call)).toMatchObject({ code: 'ERR_SOCKET_CLOSED', errno: -9 })
    }
    expect(refusalOf(() => inspect(19_999))).toMatchObject({ code: 'ERR_SOCKET_CLOSED', errno: -9 })
  })

  it.each([
    { target: -1 },
    { target: 1.5 },
    { target: Number.NaN },
    { target: 2 ** 31 },
    { target: undefined },
    { target: null },
    { target: '3' },
    { target: {} },
    { target: () => {} },
    { target: Symbol('s') },
  ])('throws ERR_INVALID_ARG_TYPE for $target', ({ target }) => {
    expect(refusalOf(() => tune(target as never, 'lan'))).toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'target',
    })
    expect(refusalOf(() => inspect(target as never))).toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'target',
    })
  })
})

async function connectTls() {
  const { key, cert } = certificate()
  const server = tls.createServer({ key, cert })
  const port = await listen(server)
  const client = tls.connect({ port, host: '127.0.0.1', ca: cert, checkServerIdentity: () => undefined })
  const [[accepted]] = (await Promise.all([
    once(server, 'secureConnection'),
    once(client, 'secureConnect'),
  ])) as [[tls.TLSSocket], unknown]
  finish(() => [client.destroy(), accepted.destroy(), server.close()])
  return { client, accepted }
}

/** Node 26 has the handle of a dgram.Socket under a symbol alone. */
function datagramFd(socket: dgram.Socket): number {
  const state = Object.getOwnPropertySymbols(socket).find(
    ({ description }) => description === 'state symbol',
  )!
  return (socket as unknown as Record<symbol, { handle: { fd: number } }>)[state]!.handle.fd
}

function fdOf(owner: unknown): number {
  return (owner as { _handle: { fd: number } })._handle.fd
}

function finish(close: () => unknown): void {
  onTestFinished(() => void close())
}

function refusalOf(run: () => unknown): Error {
  try {
    run()
  } catch (error) {
    return error as Error
  }
  throw new Error('was not refused')
}

import { once } from 'node:events'
import fs from 'node:fs'
import http2 from 'node:http2'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import theirs from 'net-keepalive'
import { afterAll, describe, expect, it } from 'vitest'
import { inspect } from '../../src/index.js'
import byDefault, * as ours from '../../src/net-keepalive.js'
import { certificate } from '../support/certificate.js'
import { connectPair, listen } from '../support/connections.js'
import { descriptorOf } from '../support/descriptors.js'

// Each call is made of that package first and then of ours, on the same socket: both must return, or throw, the same.

type Name = Exclude<keyof typeof ours, 'default'>
const setters = ['setKeepAliveInterval', 'setKeepAliveProbes', 'setUserTimeout'] as const
const getters = ['getKeepAliveInterval', 'getKeepAliveProbes', 'getUserTimeout'] as const
const names: readonly Name[] = [...setters, ...getters]

type Functions = Record<Name, (...args: unknown[]) => unknown>

/** All that a caller can see of a call. */
function outcome(functions: unknown, name: Name, args: unknown[]) {
  try {
    return { returns: (functions as Functions)[name](...args) }
  } catch (error) {
    const { code, errno, syscall, actual, expected, operator, message } = error as Record<string, unknown>
    const kind = (error as Error).constructor.name
    return { kind, code, errno, syscall, actual, expected, operator, message }
  }
}

function same(name: Name, ...args: unknown[]) {
  const wanted = outcome(theirs, name, args)
  expect(outcome(ours, name, args), `${name}, ${args.length} arguments`).toEqual(wanted)
  return wanted
}

/** What the kernel has after a call by each. */
function sameEffect(socket: net.Socket, name: Name, value: unknown) {
  const after = (functions: unknown) => {
    ours.setKeepAliveInterval(socket, 41_000)
    ours.setKeepAliveProbes(socket, 41)
    ours.setUserTimeout(socket, 41_000)
    const result = outcome(functions, name, [socket, value])
    const { interval, count, userTimeout } = inspect(socket).profile
    return { result, interval, count, userTimeout }
  }
  const wanted = after(theirs)
  expect(after(ours), `${name}(socket, ${String(value)})`).toEqual(wanted)
  return wanted
}

const { socket, peer } = await connectPair()

describe('deadpeer/net-keepalive', () => {
  it('has the six functions of net-keepalive, by their names', () => {
    const { default: _, ...named } = ours
    expect(Object.keys(named).sort()).toEqual(Object.keys(theirs).sort())
    for (const name of names)
      expect(Object.entries(named).find(([, call]) => call.name === name)?.[0]).toBe(name)
  })

  it('has the six functions on its default export too', () => {
    const { default: _, ...named } = ours
    expect(byDefault).toEqual(named)
  })

  it('accepts and returns what its types declare', () => {
    // Checked by tsc: each takes the place of the other.
    const asTheirs: typeof theirs = byDefault
    const asOurs: typeof byDefault = theirs
    const handle: ours.NodeJSSocketWithFileDescriptor = { _handle: { _fd: 1 } }
    for (const functions of [asTheirs, asOurs]) {
      expect(() => functions.getUserTimeout(handle)).toThrow(/expects an instance of socket/)
    }
  })

  it.each(setters)(
    'converts values, truncates them and reports errors as %s of net-keepalive does',
    (name) => {
      const values = [0, 1, 1.9, 127, 127.9, 128, 999, 1_000, 1_001, 2_999, 32_767_999, 32_768_000]
      for (const value of [...values, 2 ** 31 - 1, 2 ** 31, 2 ** 32 + 1_000, -1, -1_000, -0.5]) {
        sameEffect(socket, name, value)
      }
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Object(5_000)])
        sameEffect(socket, name, value)
    },
  )

  it('reads back what it set', () => {
    expect(sameEffect(socket, 'setKeepAliveInterval', 2_999)).toMatchObject({
      result: { returns: true },
      interval: 2_000,
    })
    expect(sameEffect(socket, 'setKeepAliveInterval', 999)).toMatchObject({
      result: { code: 'EINVAL', errno: -22, syscall: 'setsockopt', message: 'setsockopt EINVAL' },
      interval: 41_000,
    })
    for (const name of getters) expect(same(name, socket)).toHaveProperty('returns')
    expect(same('getUserTimeout', socket)).toEqual({ returns: 41_000 })
  })

  it.each(names)('throws the same errors for bad calls as %s of net-keepalive', (name) => {
    const strange = [
      undefined,
      null,
      5,
      'socket',
      {},
      { _handle: { fd: descriptorOf(socket) } },
      net,
      peer.address(),
    ]
    for (const target of strange) {
      for (const args of [[target], [target, 5_000], [target, '5000'], [target, 5_000, 6]])
        same(name, ...args)
    }
    for (const args of [[], [socket], [socket, 5_000], [socket, 5_000, 6]]) same(name, ...args)
    for (const value of [undefined, null, '5000', 5_000n, true, {}, [5_000], Object.create(null)]) {
      same(name, socket, value)
    }
  })

  it.each(names)('treats sockets without a descriptor as %s of net-keepalive does', async (name) => {
    const isSetter = name.startsWith('set')
    const destroyed = (await connectPair()).socket.destroy()
    // Its name is yet to be resolved.
    const connecting = net.connect({ host: 'localhost', port: 1 }).on('error', () => {})
    for (const target of [new net.Socket(), connecting, destroyed]) {
      const wanted = same(name, target, ...(isSetter ? [5_000] : []))
      expect(wanted).toMatchObject({ kind: 'AssertionError', message: 'Unable to get socket fd' })
    }
  })

  it.each(names)(
    "passes on the kernel's error for a closed descriptor or another kind, as %s does",
    async (name) => {
      const args = name.startsWith('set') ? [5_000] : []
      const lost = (await connectPair()).socket
      // Closed behind Node's back: what the kernel says of the number then.
      const file = fs.openSync(process.execPath, 'r')
      for (const fd of [file, 65_000]) {
        const impostor = Object.create(lost, { _handle: { value: { fd } } })
        const wanted = same(name, impostor, ...args)
        expect(wanted).toHaveProperty('code', fd === file ? 'ENOTSOCK' : 'EBADF')
      }
      fs.closeSync(file)
      const path = join(fs.mkdtempSync(join(tmpdir(), 'deadpeer-unix-')), 'socket')
      const server = net.createServer().listen(path)
      await once(server, 'listening')
      const unix = net.connect(path)
      await once(unix, 'connect')
      same(name, unix, ...args)
      unix.destroy()
      server.close()
    },
  )
})

describe('deadpeer/net-keepalive, like net-keepalive,', () => {
  const secure = tls.createServer(certificate(), (peer) => peer.on('error', () => {}))
  const h2 = http2.createServer()
  afterAll(() => {
    secure.close()
    h2.close()
  })

  it('works over TLS', async () => {
    const connection = tls.connect({
      port: await listen(secure),
      host: '127.0.0.1',
      rejectUnauthorized: false,
    })
    await once(connection, 'secureConnect')
    for (const name of setters) sameEffect(connection, name, 7_000)
    connection.destroy()
  })

  it('works over HTTP/2', async () => {
    const session = http2.connect(`http://127.0.0.1:${await listen(h2)}`)
    await once(session, 'connect')
    const proxy = session.socket as net.Socket
    const values = { setKeepAliveInterval: 7_000, setKeepAliveProbes: 7, setUserTimeout: 7_000 }
    for (const name of setters) expect(same(name, proxy, values[name])).toEqual({ returns: true })
    for (const name of getters) same(name, proxy)
    session.destroy()
  })
})

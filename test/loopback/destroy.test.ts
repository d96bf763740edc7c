import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { borrowSocket, destroySocket, type SocketIdentity } from '../../src/host/index.js'
import { inspect, TcpState } from '../../src/index.js'
import { connectPair, listen } from '../support/connections.js'
import { descriptorOf, openDescriptors } from '../support/descriptors.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { asOrdinaryUser, hasOrdinaryUser } from '../support/ordinary-user.js'
import { startOwner } from '../support/owner-process.js'

/** A socket as a dump of all would list it. */
function identify(socket: net.Socket): SocketIdentity {
  return {
    local: { address: socket.localAddress!, port: socket.localPort! },
    remote: { address: socket.remoteAddress!, port: socket.remotePort! },
    cookie: borrowSocket(process.pid, descriptorOf(socket)).cookie,
  }
}

const codeFrom = async (socket: net.Socket) => (await once(socket, 'error'))[0].code
const gone = expect.objectContaining({ code: 'ENOENT', message: expect.stringMatching(/already gone/) })

describe.runIf(hasNetAdmin)('destroySocket', () => {
  it.each(['127.0.0.1', '::1', '::ffff:127.0.0.1'])(
    'gives its owner ECONNABORTED and its peer ECONNRESET: %s',
    async (host) => {
      const { socket, peer } = await connectPair({ host })
      peer.resume()
      const codes = Promise.all([codeFrom(socket), codeFrom(peer)])
      destroySocket(identify(socket))
      expect(await codes).toEqual(['ECONNABORTED', 'ECONNRESET'])
    },
  )

  it('destroys a connection of another process', async () => {
    const { pid, fd, peer, ask } = await startOwner()
    const code = codeFrom(peer)
    destroySocket({
      local: { address: peer.remoteAddress!, port: peer.remotePort! },
      remote: { address: peer.localAddress!, port: peer.localPort! },
      cookie: borrowSocket(pid, fd).cookie,
    })
    expect(await code).toBe('ECONNRESET')
    expect(await ask('errors')).toEqual(['ECONNABORTED'])
  })

  it('throws ENOENT for a connection that is already gone', async () => {
    const { socket } = await connectPair()
    const record = identify(socket)
    destroySocket(record)
    expect(() => destroySocket(record)).toThrow(gone)
  })

  it('does not destroy a new connection that has the same addresses but another cookie', async () => {
    const server = net.createServer((peer) => peer.on('error', () => {}))
    const port = await listen(server)
    // An address that nobody else's connections have, whose ports are free again when they are closed.
    const localAddress = `127.${process.pid % 200}.${Math.floor(process.pid / 200) % 200}.7`
    const from = async (localPort?: number) => {
      const socket = net.connect({ port, host: '127.0.0.1', localAddress, ...(localPort && { localPort }) })
      socket.on('error', () => {})
      await once(socket, 'connect')
      return socket
    }
    const first = await from()
    const record = identify(first)
    destroySocket(record)
    first.destroy()
    await once(first, 'close')
    const successor = await from(record.local.port)
    expect(identify(successor)).toMatchObject({ local: record.local, remote: record.remote })
    expect(() => destroySocket(record)).toThrow(gone)
    expect(inspect(successor).verdict).toBe('alive')
    successor.destroy()
    server.close()
  })

  it("throws ENOENT for a wrong cookie, including the peer's, and the connection stays open", async () => {
    const { socket, peer } = await connectPair()
    for (const cookie of [identify(peer).cookie, 1n, 2n ** 64n - 2n]) {
      expect(() => destroySocket({ ...identify(socket), cookie })).toThrow(gone)
    }
    expect(inspect(socket).verdict).toBe('alive')
  })

  it('destroys a listener', async () => {
    const server = net.createServer()
    const port = await listen(server)
    const fd = descriptorOf(server)
    const { cookie } = borrowSocket(process.pid, fd)
    destroySocket({ local: { address: '127.0.0.1', port }, remote: { address: '0.0.0.0', port: 0 }, cookie })
    expect(inspect(fd).info?.state).toBe(TcpState.CLOSE)
    server.close()
  })

  it('leaves nothing open', async () => {
    const { socket } = await connectPair()
    const record = identify(socket)
    const before = openDescriptors()
    destroySocket(record)
    for (let round = 0; round < 50; round++) expect(() => destroySocket(record)).toThrow(gone)
    expect(openDescriptors()).toBeLessThanOrEqual(before)
  })
})

describe('a refused destroySocket', () => {
  it.runIf(hasOrdinaryUser)('throws EPERM without CAP_NET_ADMIN, and the connection stays open', async () => {
    const { socket } = await connectPair()
    const record = identify(socket)
    const [outcome] = await asOrdinaryUser([['destroy', { ...record, cookie: String(record.cookie) }]])
    expect(outcome).toEqual({ code: 'EPERM', message: expect.stringMatching(/CAP_NET_ADMIN/) })
    expect(inspect(socket).verdict).toBe('alive')
  })

  const end = { address: '127.0.0.1', port: 1 }
  const v6 = { address: '::1', port: 1 }
  it.each<{ what: string; record: unknown; code: string; field: string }>([
    { what: 'nothing', record: undefined, code: 'ERR_INVALID_ARG_TYPE', field: 'record' },
    { what: 'null', record: null, code: 'ERR_INVALID_ARG_TYPE', field: 'record' },
    { what: 'a number', record: 7, code: 'ERR_INVALID_ARG_TYPE', field: 'record' },
    { what: 'no ends', record: {}, code: 'ERR_INVALID_ARG_TYPE', field: 'local' },
    { what: 'one end', record: { local: end, cookie: 5n }, code: 'ERR_INVALID_ARG_TYPE', field: 'remote' },
    {
      what: 'a name',
      record: { local: { address: 'localhost', port: 1 }, remote: end },
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'local.address',
    },
    {
      what: 'a zone',
      record: { local: { address: 'fe80::1%lo', port: 1 }, remote: v6 },
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'local.address',
    },
    {
      what: 'two families',
      record: { local: end, remote: v6, cookie: 5n },
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'remote.address',
    },
    {
      what: 'port as text',
      record: { local: { ...end, port: '1' }, remote: end },
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'local.port',
    },
    {
      what: 'port beyond',
      record: { local: end, remote: { ...end, port: 65_536 } },
      code: 'ERR_OUT_OF_RANGE',
      field: 'remote.port',
    },
    {
      what: 'half a port',
      record: { local: end, remote: { ...end, port: 1.5 } },
      code: 'ERR_OUT_OF_RANGE',
      field: 'remote.port',
    },
    { what: 'no cookie', record: { local: end, remote: end }, code: 'ERR_INVALID_ARG_TYPE', field: 'cookie' },
    {
      what: 'cookie as number',
      record: { local: end, remote: end, cookie: 5 },
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'cookie',
    },
    {
      what: 'cookie 0',
      record: { local: end, remote: end, cookie: 0n },
      code: 'ERR_OUT_OF_RANGE',
      field: 'cookie',
    },
    {
      what: "the kernel's any",
      record: { local: end, remote: end, cookie: 2n ** 64n - 1n },
      code: 'ERR_OUT_OF_RANGE',
      field: 'cookie',
    },
    {
      what: 'too much',
      record: { local: end, remote: end, cookie: 2n ** 64n },
      code: 'ERR_OUT_OF_RANGE',
      field: 'cookie',
    },
    {
      what: 'interface by name',
      record: { local: end, remote: end, cookie: 5n, interface: 'lo' },
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'interface',
    },
  ])('names the argument: $what', ({ record, code, field }) => {
    expect(() => destroySocket(record as SocketIdentity)).toThrow(expect.objectContaining({ code, field }))
  })

  it('says why without a native core', () => {
    const script = `
      import { destroySocket } from 'deadpeer/host'
      const end = { address: '127.0.0.1', port: 1 }
      try { destroySocket({ local: end, remote: end, cookie: 5n }) } catch ({ code }) { console.log(code) }`
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      env: { ...process.env, DEADPEER_NATIVE: 'off' },
    })
    expect(output.trim()).toBe('ERR_UNSUPPORTED_PLATFORM')
  })
})

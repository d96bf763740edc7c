import { type ChildProcess, spawn } from 'node:child_process'
import diagnostics from 'node:diagnostics_channel'
import { EventEmitter, once } from 'node:events'
import net from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { borrowSocket } from '../../src/host/index.js'
import { type Closing, type Death, inspect, PeerDeathError, type Watcher, watch } from '../../src/index.js'
import { certificate } from '../support/certificate.js'
import { connectPair, listen } from '../support/connections.js'
import { descriptorOf } from '../support/descriptors.js'
import { backUp, pairIn, type Situation } from '../support/stream-states.js'
import { until } from '../support/until.js'

const closing: (() => void)[] = []
afterAll(() => {
  for (const close of closing) close()
})

/** A watcher with all that it tells. */
function watching(options?: Parameters<typeof watch>[0]) {
  const watcher = watch(options)
  closing.push(() => watcher.close())
  const deaths: Death[] = []
  const closings: Closing[] = []
  const errors: Error[] = []
  watcher.on('dead', (death) => deaths.push(death))
  watcher.on('closing', (event) => closings.push(event))
  watcher.on('error', (error) => errors.push(error))
  return { watcher, deaths, closings, errors }
}

/** `once` would reject at an error, which most of these end with. */
function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()))
}

/** Reads until the end, and returns what came. */
async function readAll(socket: net.Socket): Promise<Buffer> {
  const parts: Buffer[] = []
  socket.on('data', (part) => parts.push(part))
  socket.resume()
  await Promise.race([once(socket, 'end'), closed(socket)])
  return Buffer.concat(parts)
}

describe.concurrent('watch', () => {
  describe('a watcher', () => {
    it('holds each socket once, until it is deleted', async () => {
      const { watcher } = watching()
      const [a, b] = [await connectPair(), await connectPair()]
      expect(watcher.size).toBe(0)
      expect(watcher.add(a.socket).add(a.socket)).toBe(watcher)
      watcher.add([a.socket, b.socket])
      expect([watcher.size, watcher.has(a.socket), watcher.has(a.peer)]).toEqual([2, true, false])
      expect([watcher.delete(a.socket), watcher.delete(a.socket), watcher.size]).toEqual([true, false, 1])
      expect(watcher.stats()).toEqual({ added: 2, watching: 1, dead: 0, closed: 0, removed: 1 })
      watcher.add(a.socket)
      expect(watcher.stats()).toEqual({ added: 3, watching: 2, dead: 0, closed: 0, removed: 1 })
    })

    it('leaves nothing on a socket that it no longer watches', async () => {
      const { socket } = await connectPair()
      const listeners = () =>
        [EventEmitter.errorMonitor, 'error', 'end', 'close', 'connect'].map((event) =>
          socket.listenerCount(event),
        )
      const before = listeners()
      const { watcher } = watching()
      watcher.add(socket)
      // Never one for 'error': it would keep an unhandled one from ending the program.
      expect(listeners()[1]).toBe(before[1])
      watcher.delete(socket)
      expect(listeners()).toEqual(before)
    })

    it('removes its hook with the last watcher', async () => {
      const { socket } = await connectPair()
      const hooked = socket as net.Socket & { _destroy: unknown }
      const before = hooked._destroy
      const [first, second] = [watching().watcher, watching().watcher]
      first.add(socket)
      second.add(socket)
      expect(hooked._destroy).not.toBe(before)
      first.delete(socket)
      expect(hooked._destroy).not.toBe(before)
      second.close()
      expect(hooked._destroy).toBe(before)
    })

    it('leaves in place a hook that another library has put over its own', async () => {
      const { socket } = await connectPair()
      const hooked = socket as net.Socket & { _destroy(...args: unknown[]): void }
      const { watcher } = watching()
      watcher.add(socket)
      const ours = hooked._destroy
      let called = 0
      hooked._destroy = function (...args) {
        called++
        ours.apply(this, args)
      }
      watcher.delete(socket)
      socket.destroy()
      await closed(socket)
      expect(called).toBe(1)
    })

    it.each<Situation>(['reading', 'paused'])(
      'emits nothing for a socket after delete, while another watcher reports it: %s',
      async (situation) => {
        const { socket, peer } = await pairIn(situation)
        const [first, second] = [watching(), watching()]
        first.watcher.add(socket)
        second.watcher.add(socket)
        const deleted: boolean[] = []
        first.watcher.on('dead', () => deleted.push(second.watcher.delete(socket)))
        peer.resetAndDestroy()
        await closed(socket)
        await delay(20)
        expect(first.deaths).toHaveLength(1)
        expect(deleted).toEqual([true])
        expect(second.deaths).toEqual([])
        expect(second.watcher.stats()).toEqual({ added: 1, watching: 0, dead: 0, closed: 0, removed: 1 })
      },
    )

    it.each(['delete', 'close'] as const)(
      'emits nothing and destroys nothing if onDead itself calls %s',
      async (name) => {
        const { socket, peer } = await pairIn('paused')
        const { watcher, deaths } = watching({
          onDead: () => {
            if (name === 'delete') watcher.delete(socket)
            else watcher.close()
            return 'destroy'
          },
        })
        watcher.add(socket)
        peer.resetAndDestroy()
        await until(() => watcher.size === 0)
        await delay(20)
        expect([deaths, socket.destroyed]).toEqual([[], false])
        expect(watcher.stats()).toMatchObject({ dead: 0, removed: 1 })
      },
    )

    it('emits nothing when the program closes a socket', async () => {
      const { watcher, deaths } = watching()
      const pairs = await Promise.all(Array.from({ length: 3 }, () => connectPair()))
      watcher.add(pairs.map(({ socket }) => socket))
      pairs[0]!.socket.destroy()
      pairs[1]!.socket.resume().end()
      pairs[1]!.peer.resume().end()
      // Of the same name as the kernel's, and not the kernel's.
      for (const odd of [null, undefined, 'ETIMEDOUT', { code: 'ETIMEDOUT', syscall: 'read', errno: -110 }]) {
        pairs[2]!.socket.emit('error', odd as unknown as Error)
      }
      pairs[2]!.socket.destroy(Object.assign(new Error('the pool gave it up'), { code: 'ETIMEDOUT' }))
      await until(() => watcher.size === 0)
      expect(deaths).toEqual([])
      expect(watcher.stats()).toMatchObject({ dead: 0, closed: 3, removed: 0 })
    })

    it('reports a death that happened before the socket was added', async () => {
      const { socket, peer } = await pairIn('paused')
      peer.resetAndDestroy()
      await until(() => inspect(socket).info!.state === 7)
      const { watcher } = watching()
      watcher.add(socket)
      const [death] = await once(watcher, 'dead')
      expect(death).toMatchObject({ socket, reason: 'reset', detectedBy: 'kernel' })
    })

    it('watches a connecting socket once it is connected', async () => {
      const { watcher, deaths } = watching()
      const server = net.createServer((peer) => void setTimeout(() => peer.resetAndDestroy(), 50))
      const port = await listen(server)
      const socket = net.connect(port, '127.0.0.1').on('error', () => {})
      watcher.add(socket)
      expect(watcher.size).toBe(1)
      await once(watcher, 'dead')
      expect(deaths).toMatchObject([{ socket, reason: 'reset' }])
      server.close()
      await once(server, 'close')
      const refused = net.connect(port, '127.0.0.1').on('error', () => {})
      watcher.add(refused)
      await until(() => watcher.size === 0)
      expect(watcher.stats()).toMatchObject({ dead: 1, closed: 1 })
    })

    it('watches an object of Node that has a socket', async () => {
      const { watcher } = watching()
      const { socket, peer } = await connectPair()
      watcher.add({ socket })
      expect([watcher.has({ socket }), watcher.has(socket), watcher.has({ _socket: socket })]).toEqual([
        true,
        true,
        true,
      ])
      expect(watcher.has({ socket: null })).toBe(false)
      peer.resetAndDestroy()
      const [death] = await once(watcher, 'dead')
      expect(death.socket).toBe(socket)
    })

    it.each<Situation>(['reading', 'paused'])(
      'does not report a socket as dead that is destroyed with the error of another: %s',
      async (situation) => {
        const { watcher, deaths } = watching()
        const [dying, piped] = [await pairIn(situation), await connectPair()]
        watcher.add([dying.socket, piped.socket])
        // As stream.pipeline does.
        dying.socket.on('error', (error) => piped.socket.destroy(error))
        dying.peer.resetAndDestroy()
        await until(() => watcher.size === 0)
        expect(deaths).toMatchObject([{ socket: dying.socket, reason: 'reset' }])
        expect(watcher.stats()).toMatchObject({ dead: 1, closed: 1 })
        // Nor where only that one is watched.
        const [unwatched, other] = [await pairIn('reading'), await connectPair()]
        watcher.add(other.socket)
        unwatched.socket.on('error', (error) => other.socket.destroy(error))
        unwatched.peer.resetAndDestroy()
        await until(() => watcher.size === 0)
        expect(watcher.stats()).toMatchObject({ dead: 1, closed: 2 })
      },
    )

    it('may share a socket with another watcher: each reports a death once, and it is published once', async () => {
      const published: unknown[] = []
      const { socket, peer } = await pairIn('paused')
      diagnostics.subscribe('deadpeer:death', (death) => {
        if ((death as Death).socket === socket) published.push(death)
      })
      const [first, second, third] = [
        watching({ onDead: 'report' }),
        watching(),
        watching({ onDead: 'report' }),
      ]
      for (const { watcher } of [first, second, third]) watcher.add(socket)
      peer.resetAndDestroy()
      await closed(socket)
      for (const { watcher, deaths } of [first, second, third]) {
        expect(deaths).toMatchObject([{ socket, reason: 'reset', error: { code: 'ECONNRESET' } }])
        expect(watcher.stats()).toMatchObject({ added: 1, dead: 1 })
      }
      expect(published).toEqual([first.deaths[0]])
    })

    it('watches a TLSSocket as well as the socket under it', async () => {
      const { watcher, deaths } = watching()
      const server = tls.createServer(certificate())
      const port = await listen(server)
      const accepted = once(server, 'secureConnection')
      const under = once(server, 'connection')
      const socket = net.connect(port, '127.0.0.1').on('error', () => {})
      await once(socket, 'connect')
      const secure = tls.connect({ socket, rejectUnauthorized: false }).on('error', () => {})
      const [[peer]] = await Promise.all([accepted, once(secure, 'secureConnect')])
      closing.push(() => server.close())
      await backUp(secure, peer)
      watcher.add([socket, secure])
      expect(watcher.size).toBe(2)
      peer.on('error', () => {})
      ;(await under)[0].resetAndDestroy()
      await until(() => watcher.size === 0)
      expect(new Set(deaths.map((death) => death.socket))).toEqual(new Set([socket, secure]))
      expect(socket.destroyed && secure.destroyed).toBe(true)
    })
  })

  /** More than Node takes from the kernel at once, and less than the kernel's window: the FIN is right behind. */
  const SENT = 100_000

  describe('a peer that closes its side', () => {
    it('is reported as closing while the socket is paused, and all data can still be read', async () => {
      const { watcher, deaths, closings } = watching()
      const { socket, peer } = await connectPair()
      watcher.add(socket)
      const sent = Buffer.alloc(SENT, 'deadpeer')
      peer.end(sent)
      await once(watcher, 'closing')
      await delay(100)
      expect(closings).toMatchObject([{ socket, info: { state: 8 } }])
      expect(socket.destroyed).toBe(false)
      expect(watcher.has(socket)).toBe(true)
      expect((await readAll(socket)).equals(sent)).toBe(true)
      await until(() => watcher.size === 0)
      expect(closings).toHaveLength(1)
      expect(deaths).toEqual([])
      expect(watcher.stats()).toMatchObject({ dead: 0, closed: 1 })
    })

    it('is reported as closing once while the socket is being read', async () => {
      const { watcher, deaths, closings } = watching()
      const { socket, peer } = await connectPair()
      watcher.add(socket)
      socket.resume()
      peer.end('bye')
      await closed(socket)
      await delay(50)
      expect(closings).toMatchObject([{ socket }])
      expect(deaths).toEqual([])
    })

    it('is reported dead once, after all its data, if it resets a connection that the program keeps half-open', async () => {
      const { watcher, deaths } = watching()
      const { socket, peer } = await connectPair({ allowHalfOpen: true })
      watcher.add(socket)
      const sent = Buffer.alloc(SENT, 'deadpeer')
      peer.end(sent)
      await once(watcher, 'closing')
      await until(() => inspect(peer).info!.state === 5)
      peer.resetAndDestroy()
      await until(() => inspect(socket).info!.state === 7)
      await delay(50)
      expect(deaths).toEqual([])
      const dead = once(watcher, 'dead')
      expect((await readAll(socket)).equals(sent)).toBe(true)
      await dead
      expect(deaths).toMatchObject([{ socket, reason: 'reset', detectedBy: 'kernel' }])
      await closed(socket)
      expect(watcher.stats()).toMatchObject({ watching: 0, dead: 1, closed: 0 })
    })

    /** What a busy program finds: the kernel reports the FIN and the reset at once. */
    async function closedAndReset(sent: Buffer, allowHalfOpen: boolean) {
      const { socket, peer } = await connectPair({ allowHalfOpen })
      const errors: Error[] = []
      socket.on('error', (error) => errors.push(error))
      peer.end(sent)
      await until(() => [5, 8].includes(inspect(peer).info!.state))
      peer.resetAndDestroy()
      await until(() => inspect(socket).info!.state === 7)
      return { socket, errors }
    }

    it.each([
      { title: 'a full buffer', bytes: SENT },
      { title: 'little to read', bytes: 100 },
    ])(
      'is closed after all its data if it resets before the watcher sees either: $title',
      async ({ bytes }) => {
        const { watcher, deaths, closings } = watching()
        const sent = Buffer.alloc(bytes, 'deadpeer')
        const { socket, errors } = await closedAndReset(sent, false)
        watcher.add(socket)
        await until(() => closings.length > 0)
        await delay(20)
        expect(socket.destroyed).toBe(false)
        expect((await readAll(socket)).equals(sent)).toBe(true)
        await until(() => watcher.size === 0)
        expect([deaths, errors]).toEqual([[], []])
        expect(watcher.stats()).toMatchObject({ dead: 0, closed: 1 })
      },
    )

    it.each([
      { title: 'a full buffer', bytes: SENT },
      { title: 'little to read', bytes: 100 },
    ])(
      'is dead after all its data if it resets a half-open connection before the watcher sees either: $title',
      async ({ bytes }) => {
        const { watcher, deaths, closings } = watching()
        const sent = Buffer.alloc(bytes, 'deadpeer')
        const { socket } = await closedAndReset(sent, true)
        watcher.add(socket)
        await until(() => closings.length > 0)
        expect(deaths).toEqual([])
        expect((await readAll(socket)).equals(sent)).toBe(true)
        await until(() => watcher.size === 0)
        expect(deaths).toMatchObject([{ socket, reason: 'reset', error: { code: 'ECONNRESET' } }])
      },
    )

    it('is reported closed after all its data if it resets a connection that was not read to its end', async () => {
      const { watcher, deaths } = watching()
      const { socket, peer } = await connectPair()
      const errors: Error[] = []
      socket.on('error', (error) => errors.push(error))
      watcher.add(socket)
      const sent = Buffer.alloc(SENT, 'deadpeer')
      peer.end(sent)
      await once(watcher, 'closing')
      await until(() => inspect(peer).info!.state === 5)
      peer.resetAndDestroy()
      await until(() => inspect(socket).info!.state === 7)
      await delay(50)
      expect((await readAll(socket)).equals(sent)).toBe(true)
      await until(() => watcher.size === 0)
      expect([deaths, errors]).toEqual([[], []])
      expect(watcher.stats()).toMatchObject({ dead: 0, closed: 1 })
    })
  })

  describe('a watched server', () => {
    it('has its accepted connections watched until it is deleted', async () => {
      const { watcher } = watching()
      const server = net.createServer()
      watcher.add(server).add(server)
      expect([watcher.has(server), watcher.size]).toEqual([true, 0])
      const port = await listen(server)
      const connect = async () => {
        const [[accepted]] = await Promise.all([
          once(server, 'connection'),
          once(net.connect(port, '127.0.0.1'), 'connect'),
        ])
        closing.push(() => accepted.destroy())
        return accepted as net.Socket
      }
      const accepted = await connect()
      expect(watcher.has(accepted)).toBe(true)
      expect([watcher.delete(server), watcher.delete(server), watcher.has(server)]).toEqual([
        true,
        false,
        false,
      ])
      expect(watcher.has(await connect())).toBe(false)
      expect(watcher.stats()).toMatchObject({ added: 1, watching: 1 })
      server.close()
    })

    it('has its TLSSockets watched if it is a TLS server', async () => {
      const { watcher } = watching()
      const server = tls.createServer(certificate())
      watcher.add(server)
      const port = await listen(server)
      const under = net.connect(port, '127.0.0.1')
      const socket = tls.connect({ socket: under, rejectUnauthorized: false }).on('error', () => {})
      const [accepted] = await once(server, 'secureConnection')
      expect(watcher.has(accepted)).toBe(true)
      await backUp(accepted, socket)
      accepted.on('error', () => {})
      under.resetAndDestroy()
      const [death] = await once(watcher, 'dead')
      expect(death).toMatchObject({ socket: accepted, reason: 'reset' })
      server.close()
    })

    it('is reported by an error event if its connections are not TCP', async () => {
      const { watcher, errors } = watching()
      const server = net.createServer()
      watcher.add(server)
      const path = `\0deadpeer-${process.pid}`
      server.listen(path)
      await once(server, 'listening')
      const socket = net.connect(path)
      await until(() => errors.length > 0)
      expect(errors).toMatchObject([{ code: 'ERR_NOT_TCP' }])
      expect(watcher.stats()).toMatchObject({ added: 0 })
      socket.destroy()
      server.close()
    })
  })

  describe('onDead', () => {
    it("leaves the socket and its error to Node with 'report'", async () => {
      const { watcher, deaths } = watching({ onDead: 'report' })
      const { socket, peer } = await pairIn('paused')
      watcher.add(socket)
      peer.resetAndDestroy()
      await once(watcher, 'dead')
      await delay(50)
      expect(socket.destroyed).toBe(false)
      const heard = once(socket, 'error')
      // By writing: to who reads, Node 20 and 22 tell of an end instead, where the last read did not fill its buffer (libuv, POLLHUP).
      socket.write('anything')
      const [error] = await heard
      expect(error).toMatchObject({ code: 'ECONNRESET', syscall: 'write' })
      expect(error).not.toBeInstanceOf(PeerDeathError)
      expect(deaths).toHaveLength(1)
      expect(watcher.stats()).toMatchObject({ watching: 0, dead: 1, closed: 0 })
    })

    it('can be a function that decides for each death', async () => {
      const asked: Death[] = []
      const [kept, destroyed] = [await pairIn('paused'), await pairIn('paused')]
      const { watcher, deaths } = watching({
        onDead: (death) => {
          asked.push(death)
          return death.socket === kept.socket ? 'report' : 'destroy'
        },
      })
      watcher.add([kept.socket, destroyed.socket])
      kept.peer.resetAndDestroy()
      destroyed.peer.resetAndDestroy()
      await until(() => deaths.length === 2)
      expect(asked.map(({ socket }) => socket)).toEqual(deaths.map(({ socket }) => socket))
      expect(asked).toMatchObject([{ reason: 'reset' }, { reason: 'reset' }])
      expect([kept.socket.destroyed, destroyed.socket.destroyed]).toEqual([false, true])
    })

    it("can be a function that returns nothing, which means 'report'", async () => {
      const { socket, peer } = await pairIn('paused')
      const asked: Death[] = []
      const { watcher, deaths } = watching({ onDead: (death) => void asked.push(death) })
      watcher.add(socket)
      peer.resetAndDestroy()
      await until(() => deaths.length === 1)
      expect(asked).toEqual(deaths)
      expect(socket.destroyed).toBe(false)
    })
  })

  describe('a watcher that ends', () => {
    it('watches nothing after close(), leaves the sockets open, and ends its iterations', async () => {
      const { watcher, deaths } = watching()
      const pair = await connectPair()
      const server = net.createServer()
      watcher.add(pair.socket).add(server)
      const iteration = (async () => {
        for await (const _ of watcher) throw new Error('nobody has died')
      })()
      const closed = once(watcher, 'close')
      await delay(10)
      watcher.close()
      watcher.close()
      await Promise.all([closed, iteration])
      expect([watcher.size, watcher.has(server), pair.socket.destroyed]).toEqual([0, false, false])
      expect(watcher.stats()).toEqual({ added: 1, watching: 0, dead: 0, closed: 0, removed: 1 })
      pair.peer.resetAndDestroy()
      await delay(50)
      expect(deaths).toEqual([])
      expect(() => watcher.add(pair.socket)).toThrow(expect.objectContaining({ code: 'ERR_WATCHER_CLOSED' }))
      for await (const _ of watcher) throw new Error('it is closed')
    })

    it('ends with an AbortSignal, and with Symbol.dispose', async () => {
      const controller = new AbortController()
      const { watcher } = watching({ signal: controller.signal })
      const { socket } = await connectPair()
      watcher.add(socket)
      controller.abort()
      expect(watcher.size).toBe(0)
      expect(() => watcher.add(socket)).toThrow(expect.objectContaining({ code: 'ERR_WATCHER_CLOSED' }))
      expect(() => watch({ signal: controller.signal })).toThrow(
        expect.objectContaining({ name: 'AbortError' }),
      )
      let disposed: Watcher
      {
        using short = watch()
        short.add(socket)
        disposed = short
      }
      expect(disposed.size).toBe(0)
    })

    it('yields every death since its start by async iteration', async () => {
      const { watcher } = watching()
      const pairs = await Promise.all(Array.from({ length: 5 }, () => pairIn('paused')))
      watcher.add(pairs.map(({ socket }) => socket))
      const seen = new Set<net.Socket>()
      setImmediate(() => {
        for (const { peer } of pairs) peer.resetAndDestroy()
      })
      for await (const { socket } of watcher) {
        seen.add(socket)
        // All of them have died before the second is taken.
        await until(() => watcher.size === 0)
        if (seen.size === 5) break
      }
      expect(seen).toEqual(new Set(pairs.map(({ socket }) => socket)))
      expect(watcher.listenerCount('dead')).toBe(1)
    })
  })

  describe('a watcher with bad arguments', () => {
    const cases: { what: string; make: () => unknown; code: string; message: RegExp }[] = [
      {
        what: 'nothing',
        make: () => undefined,
        code: 'ERR_INVALID_ARG_TYPE',
        message: /target is undefined/,
      },
      { what: 'null', make: () => null, code: 'ERR_INVALID_ARG_TYPE', message: /null/ },
      { what: 'an object', make: () => ({}), code: 'ERR_INVALID_ARG_TYPE', message: /net\.Socket/ },
      { what: 'a string', make: () => 'socket', code: 'ERR_INVALID_ARG_TYPE', message: /string/ },
      { what: 'a descriptor', make: () => 3, code: 'ERR_INVALID_ARG_TYPE', message: /bare descriptor/ },
      {
        what: 'a closed socket',
        make: () => new net.Socket().destroy(),
        code: 'ERR_SOCKET_CLOSED',
        message: /closed/,
      },
      {
        what: 'an object whose socket is gone',
        make: () => ({ socket: null }),
        code: 'ERR_SOCKET_CLOSED',
        message: /no socket/,
      },
    ]
    it.each(cases)('refuses $what', ({ make, code, message }) => {
      const { watcher } = watching()
      const refused = expect.objectContaining({ code, message: expect.stringMatching(message) })
      expect(() => watcher.add(make() as net.Socket)).toThrow(refused)
      expect(watcher.has(make() as net.Socket)).toBe(false)
      expect(watcher.delete(make() as net.Socket)).toBe(false)
      expect(watcher.stats()).toMatchObject({ added: 0, watching: 0 })
    })

    it('refuses a borrowed socket', async () => {
      const { socket } = await connectPair()
      const { watcher } = watching()
      const borrowed = borrowSocket(process.pid, descriptorOf(socket))
      expect(() => watcher.add(borrowed as never)).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', message: expect.stringMatching(/one call/) }),
      )
    })

    it('refuses a socket of another kind', async () => {
      const path = `\0deadpeer-other-${process.pid}`
      const server = net.createServer().listen(path)
      await once(server, 'listening')
      const socket = net.connect(path)
      await once(socket, 'connect')
      const { watcher } = watching()
      expect(() => watcher.add(socket)).toThrow(expect.objectContaining({ code: 'ERR_NOT_TCP' }))
      expect(watcher.size).toBe(0)
      expect(socket.listenerCount('end')).toBe(new net.Socket().listenerCount('end'))
      socket.destroy()
      server.close()
    })

    it('emits an error event for one bad item of a list, and watches the others', async () => {
      const { socket, peer } = await connectPair()
      const { watcher } = watching()
      const errors: Error[] = []
      const server = net.createServer()
      watcher.add([server, {} as net.Socket, socket, 3 as never, undefined as never, peer])
      // The program's listener may come after `add`.
      watcher.on('error', (error) => errors.push(error))
      expect([watcher.size, watcher.has(server), watcher.has(socket), watcher.has(peer)]).toEqual([
        2,
        true,
        true,
        true,
      ])
      await new Promise((resolve) => setImmediate(resolve))
      expect(errors).toEqual(
        Array(3).fill(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', field: 'target' })),
      )
      expect(watcher.stats()).toEqual({ added: 2, watching: 2, dead: 0, closed: 0, removed: 0 })
    })

    it('counts a closed connection of a list as closed, and watches the others', async () => {
      const { socket, peer } = await connectPair()
      const { watcher } = watching()
      const errors: Error[] = []
      watcher.on('error', (error) => errors.push(error))
      watcher.add([socket, new net.Socket().destroy(), { socket: null }, peer])
      await new Promise((resolve) => setImmediate(resolve))
      expect(errors).toEqual([])
      expect(watcher.stats()).toEqual({ added: 4, watching: 2, dead: 0, closed: 2, removed: 0 })
    })

    it.each([
      { options: null, message: /options/ },
      { options: { onDead: 'kill' }, message: /'destroy', 'report'/ },
      { options: { onDead: null }, message: /'destroy', 'report'/ },
      {
        options: { onDead: async () => 'destroy' },
        message: /onDead must be synchronous, and return .*; got an async function/,
      },
      {
        options: { ondead: 'report' },
        message: /Unknown option `ondead` of watch\(\)\. Did you mean `onDead`\?/,
      },
      { options: { signal: {} }, message: /AbortSignal/ },
    ])('refuses options $options', ({ options, message }) => {
      expect(() => watch(options as never)).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', message: expect.stringMatching(message) }),
      )
    })
  })

  const fixture = fileURLToPath(new URL('fixtures/watching.mjs', import.meta.url))

  /** Runs a part of the fixture in a process of its own, which may crash. */
  async function run(part: string, env: NodeJS.ProcessEnv = {}) {
    const child: ChildProcess = spawn(process.execPath, [fixture, part], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const [out, err, [code]] = await Promise.all([
      text(child.stdout!),
      text(child.stderr!),
      once(child, 'close'),
    ])
    return { out, err, code }
  }

  describe('a watching program', () => {
    it.each(['paused', 'reading'])(
      "crashes as with Node alone if it does not handle 'error': %s",
      async (situation) => {
        const { out, err, code } = await run(`unhandled-${situation}`)
        expect(code).toBe(1)
        expect(err).toMatch(/Unhandled 'error' event/)
        expect(err).toContain('ECONNRESET')
        // Of the one that is read, Node or the watcher may be first.
        if (situation === 'paused') expect(err).toContain('PeerDeathError')
        // Told before that, all the same.
        expect(out).toBe('dead reset\n')
      },
    )

    it.each(['paused', 'reading'])(
      'has an uncaught exception if its listener throws, and the others stay watched: %s',
      async (situation) => {
        const { out, err, code } = await run(`throwing-${situation}`)
        expect(err).toBe('')
        expect(JSON.parse(out)).toEqual({
          uncaught: ['thrown', 'thrown'],
          dead: 2,
          errors: ['ECONNRESET', 'ECONNRESET'],
          watching: 1,
        })
        expect(code).toBe(0)
      },
    )

    it('has an uncaught exception if onDead throws, one warning if onDead returns another value or a Promise, and keeps the socket', async () => {
      const { out, code } = await run('deciding-badly')
      expect(JSON.parse(out)).toEqual({
        uncaught: ['no idea'],
        rejections: ['rejected'],
        warnings: [
          [
            'DEADPEER_ON_DEAD',
            expect.stringMatching(/^onDead of a watcher returned 'perhaps', a string\. It must/),
          ],
        ],
        dead: 4,
        destroyed: [false, false, false, false],
      })
      expect(code).toBe(0)
    })

    it.each(['onDead', 'listener'])(
      'sees all 20 deaths of one turn before it crashes if its %s throws at the first',
      async (who) => {
        const { out, err, code } = await run(`${who}-throws-at-the-first`)
        expect(err).toContain(`Error: thrown by ${who}`)
        expect(code).toBe(1)
        expect(out).toBe('dead\n'.repeat(20))
      },
    )

    it('is not kept running by a watcher, nor by waiting for a death', async () => {
      expect(await run('idle')).toEqual({ out: '', err: '', code: 0 })
    })

    it('reports what Node notices without a native core', async () => {
      const { out, err, code } = await run('reset-while-reading', { DEADPEER_NATIVE: 'off' })
      expect(err).toBe('')
      const { local, remote, ...told } = JSON.parse(out)
      expect(told).toEqual({
        dead: [{ reason: 'reset', detectedBy: 'node', code: 'ECONNRESET', local, remote }],
        closing: 1,
        stats: { added: 2, watching: 0, dead: 1, closed: 1, removed: 0 },
      })
      expect(code).toBe(0)
    })

    it.each(['', 'off'])(
      'sees no death if it destroys a socket with the error of another that both sides had ended (DEADPEER_NATIVE=%s)',
      async (native) => {
        const { out, err, code } = await run('piped-after-both-ended', { DEADPEER_NATIVE: native })
        expect(err).toBe('')
        const { code: errno, stats } = JSON.parse(out)
        expect(['EPIPE', 'ECONNRESET']).toContain(errno)
        expect(stats).toEqual({ added: 2, watching: 0, dead: 0, closed: 2, removed: 0 })
        expect(code).toBe(0)
      },
    )

    it('gets a typed error if it runs out of descriptors, and nothing is left behind', async () => {
      const { out, err, code } = await run('without-descriptors')
      expect(err).toBe('')
      expect(JSON.parse(out)).toEqual({ code: 'EMFILE', size: 0, listeners: [0, 0], afterwards: 'reset' })
      expect(code).toBe(0)
    })
  })
})

import { once } from 'node:events'
import http2 from 'node:http2'
import https from 'node:https'
import { setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import { tune } from '../../dist/index.js'
import { endLate } from './end-late.mjs'
import { CLOSED_TOGETHER, groups, IDLE_TIMEOUT, tlsFates, UNREAD } from './tls-fates.mjs'

// TLS, HTTPS and HTTP/2 servers. Each request carries an order: how much to answer, and in the last request of a connection how it ends.
// The fates of the server's own doing are noted and carried out here.

/** A server that waits for connections which do not come closes after this, in ms. */
const CLOSES_ANYHOW_AFTER = 10_000
/** An HTTP server closes what is idle, and a connection is idle a moment after its answer is finished. In ms. */
const IS_IDLE_AFTER = 50

/** These are of the answer itself, or follow it without anything being done. */
const withAnswer = new Set(['one request', 'server answers close', 'keep-alive timeout'])

const acts = {
  tls: { ends: ({ socket }) => socket.end(), destroys: ({ socket }) => socket.destroy() },
  https: { ends: ({ socket }) => socket.end(), destroys: ({ socket }) => socket.destroy() },
  http2: { ends: ({ session }) => session.close(), destroys: ({ session }) => session.destroy() },
}

export class TlsServers {
  #ends
  #random
  #secrets
  #watchesAll
  #listening = new Set()

  /**
   * @param {import('./tls-ends.mjs').TlsEnds} ends
   * @param {{ key: string, cert: string }} secrets
   * @param watchesAll whether watchers are given the servers; else they are given half of the accepted sockets, one by one.
   */
  constructor(ends, random, secrets, watchesAll) {
    this.#ends = ends
    this.#random = random
    this.#secrets = secrets
    this.#watchesAll = watchesAll
  }

  /** @returns {Promise<Record<string, number>>} the ports, by kind, group and address */
  async listen(addresses) {
    const ports = {}
    for (const kind of ['tls', 'https', 'https idle', 'http2'])
      for (const group of Object.keys(groups))
        for (const address of addresses)
          ports[`${kind} ${group} ${address}`] = (await this.#listen(kind, group, address)).address().port
    return ports
  }

  close() {
    for (const server of this.#listening) server.close()
  }

  async #listen(kind, group, address, together) {
    const server = this.#create(kind, group, address, together)
    if (this.#watchesAll) this.#ends.watcher(group)?.add(server)
    tune(server, groups[group].profile)
    server.listen({ port: 0, host: address, backlog: 4_096 })
    await once(server, 'listening')
    this.#listening.add(server)
    this.#ends.holdDescriptor({
      once: (_, onClose) =>
        server.once('close', () => {
          this.#listening.delete(server)
          onClose()
        }),
    })
    return server
  }

  #create(kind, group, address, together) {
    const protocol = kind === 'https idle' ? 'https' : kind
    const accept = (socket, session) => {
      const end = { kind: protocol, group, address, socket, session, together, served: 0 }
      return (order, answer) => this.#serve(end, order, answer)
    }
    const server = {
      tls: () => tls.createServer(this.#secrets),
      https: () => https.createServer({ ...this.#secrets, keepAliveTimeout: 0 }),
      'https idle': () => https.createServer({ ...this.#secrets, keepAliveTimeout: IDLE_TIMEOUT }),
      http2: () => http2.createSecureServer(this.#secrets),
    }[kind]()
    server.on('connection', (raw) => this.#ends.holdDescriptor(raw))
    server.on('tlsClientError', (error, socket) => this.#ends.noteError(socket, error))
    let latest
    server.prependListener('secureConnection', (socket) => {
      latest = socket
      this.#ends.follow(socket)
      if (this.#watchesAll) this.#ends.countWatched(socket, group)
      else if (this.#random() < 0.5) this.#ends.watch(socket, group)
    })
    if (kind === 'tls') server.on('secureConnection', (socket) => this.#serveLines(socket, accept(socket)))
    else if (kind === 'http2') {
      // A session is made while its socket is announced; what it shows as its socket is a proxy.
      server.on('session', (session) => this.#serveStreams(session, latest, accept(latest, session)))
    } else this.#serveRequests(server, accept)
    return server
  }

  #serveLines(socket, serve) {
    let line = ''
    endLate(socket, this.#random)
    socket.on('error', (error) => this.#ends.noteError(socket, error))
    socket.on('data', (data) => {
      line += data
      if (!line.endsWith('\n')) return
      const order = JSON.parse(line)
      line = ''
      serve(order, (body, done) => socket.write(`${body}\n`, done))
    })
  }

  #serveRequests(server, accept) {
    const serving = new WeakMap()
    server.on('clientError', (error, socket) => {
      this.#ends.noteError(socket, error)
      socket.destroy(error)
    })
    server.on('request', (request, response) => {
      const { socket } = request
      const order = JSON.parse(request.headers['x-order'])
      if (!serving.has(socket)) serving.set(socket, accept(socket))
      serving.get(socket)(order, (body, done) => {
        const connection = this.#connectionHeader(order)
        if (connection) response.setHeader('Connection', connection)
        response.once('finish', done)
        response.end(body)
      })
    })
  }

  #connectionHeader({ fate, isLast }) {
    if (fate === 'server answers close') return isLast ? 'close' : undefined
    // With this header it does not say for how long it keeps the connection. Where it says so, the client closes at once.
    if (fate === 'keep-alive timeout' && (!isLast || this.#random() < 0.7)) return 'keep-alive'
    return undefined
  }

  #serveStreams(session, socket, serve) {
    session.on('error', (error) => this.#ends.noteError(socket, error))
    session.on('stream', (stream, headers) => {
      stream.on('error', (error) => this.#ends.noteError(socket, error))
      serve(JSON.parse(headers['x-order']), (body, done) => {
        stream.respond({ ':status': 200 })
        stream.once('close', done)
        stream.end(body)
      })
    })
  }

  async #serve(end, order, answer) {
    const { socket } = end
    const { id, fate, isLast, size, wait, closing } = order
    // What comes after the last request is not answered.
    if (end.isOver) return
    if (end.served++ === 0) {
      this.#ends.name(socket, `${id}/server`)
      this.#ends.open(socket, end)
    }
    const body = closing ? String(await this.#listenToClose(closing)) : 'b'.repeat(size)
    if (!isLast) {
      answer(body, () => {})
      return
    }
    end.isOver = true
    end.id = id
    this.#ends.note(socket, 'served', end.served)
    if (withAnswer.has(fate)) this.#ends.note(id, 'fate', fate)
    const isOurs = tlsFates[fate].by === 'server' && !withAnswer.has(fate)
    answer(body, async () => {
      if (!isOurs) return
      if (end.together) {
        end.together.join(end)
        return
      }
      await delay(wait)
      if (!socket.destroyed) await this.#meet(end, fate)
    })
  }

  async #meet(end, fate) {
    const { id, socket, kind } = end
    if (fate.endsWith(' unread')) {
      this.#ends.note(id, 'filled')
      await new Promise((resolve) => socket.write(Buffer.alloc(UNREAD), resolve))
      await this.#ends.acknowledged(socket)
      if (socket.destroyed) return
    }
    if (fate.startsWith('server resets')) this.#ends.reset(id, socket, socket._parent, fate)
    else if (fate.startsWith('server silent')) await this.#ends.vanish(id, socket, fate)
    else {
      this.#ends.note(id, 'fate', fate)
      acts[kind][fate.split(' ')[1]](end)
    }
  }

  /** A server that closes when so many connections have had their last answer. */
  async #listenToClose({ kind, group, address }) {
    const joined = []
    const close = async () => {
      clearTimeout(timer)
      await delay(IS_IDLE_AFTER)
      for (const { id } of joined) this.#ends.note(id, 'fate', 'server closes')
      server.close()
      // An HTTP server sees to its connections by itself.
      if (kind !== 'https') for (const end of joined) acts[kind].ends(end)
    }
    const timer = setTimeout(close, CLOSES_ANYHOW_AFTER)
    const join = (end) => {
      if (joined.push(end) === CLOSED_TOGETHER) close()
    }
    const server = await this.#listen(kind, group, address, { join })
    return server.address().port
  }
}

import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import { HttpsAgent } from '../../dist/http/index.js'
import { tune } from '../../dist/index.js'
import { endLate } from './end-late.mjs'
import { WRITE_AFTER } from './fates.mjs'
import { pick } from './random.mjs'
import { CLOSED_TOGETHER, groups, IDLE_TIMEOUT, tlsFates, UNREAD, UNREAD_FOR } from './tls-fates.mjs'

// TLS, HTTPS and HTTP/2 clients: connect, send one to three requests, and then end as was chosen when they connected. The fates of the
// client's own doing are noted and carried out here.

/** Between two connections of the same slot, on average, in ms. */
const PAUSE = 1_500
/** The longest wait between the last answer and the end, in ms. Half of all connections do not wait. */
const LONGEST_WAIT = 2_000
/** Now and then so many connections that have one request come at once. */
const BURST = 20
const BURSTS = 0.01

const fates = Object.entries(tlsFates).map(([name, { weight }]) => ({ name, weight }))
const ways = Object.entries(tlsFates).flatMap(([fate, { kinds }]) => kinds.map((kind) => ({ fate, kind })))

export class TlsClients {
  #ends
  #prefix
  #ports
  #addresses
  #random
  #watchedShare
  #opened = 0
  #waysLeft = [...ways]
  #isOver = false

  /**
   * @param {import('./tls-ends.mjs').TlsEnds} ends
   * @param {string} prefix what the names of these connections begin with
   * @param {Record<string, number>} ports of `TlsServers`
   */
  constructor(ends, prefix, ports, addresses, random, watchedShare) {
    this.#ends = ends
    this.#prefix = prefix
    this.#ports = ports
    this.#addresses = addresses
    this.#random = random
    this.#watchedShare = watchedShare
    diagnostics.subscribe('deadpeer:http:closed', ({ socket, how }) => ends.note(socket, 'counted', how))
  }

  /** Connects again and again, at most so many connections at a time, until `stop`. */
  start(slots) {
    for (let slot = 0; slot < slots; slot++) this.#fill()
  }

  stop() {
    this.#isOver = true
  }

  async #fill() {
    while (true) {
      await delay(-PAUSE * Math.log(1 - this.#random()))
      if (this.#isOver) return
      await this.#play()
    }
  }

  async #play() {
    const { fate, kind } = this.#nextWay()
    const group = this.#one(Object.keys(groups))
    const address = this.#one(this.#addresses)
    const server = fate === 'keep-alive timeout' ? 'https idle' : kind
    let port = this.#ports[`${server} ${group} ${address}`]
    let count = 1
    if (fate === 'server closes') {
      count = CLOSED_TOGETHER
      port = await this.#askForServer({ kind, group, address })
    } else if (this.#random() < BURSTS / tlsFates[fate].weight) count = BURST
    const plans = Array.from({ length: count }, () => ({ fate, kind, group, address, port }))
    await Promise.all(plans.map((plan) => this.#playOne(plan)))
  }

  async #askForServer({ kind, group, address }) {
    const plan = { fate: 'one request', kind: 'https', group, address }
    plan.port = this.#ports[`https ${group} ${address}`]
    const id = this.#nextId()
    const connection = this.#connect(id, plan)
    const closing = { kind, group, address }
    const port = await connection.exchange({ id, fate: plan.fate, wait: 0, isLast: true, closing })
    this.#ends.note(`${id}/client`, 'answered', 1)
    await connection.closed
    return Number(port)
  }

  #nextId() {
    return `${this.#prefix}.${this.#opened++}`
  }

  #connect(id, plan) {
    return new connections[plan.kind](this.#ends, `${id}/client`, plan, this.#random, this.#watchedShare)
  }

  async #playOne(plan) {
    const { fate } = plan
    const id = this.#nextId()
    const connection = this.#connect(id, plan)
    const wait = this.#random() < 0.5 ? 0 : LONGEST_WAIT * this.#random()
    const requests = fate === 'one request' ? 1 : 2 + Math.floor(2 * this.#random())
    try {
      for (let left = requests; left > 0; left--) {
        if (left === 1 && fate === 'free socket timeout') this.#ends.note(id, 'fate', fate)
        const size = this.#random() < 0.1 ? 100_000 : 1 + Math.floor(1_000 * this.#random())
        await connection.exchange({ id, fate, wait, size, isLast: left === 1 })
        if (left > 1) await delay(100 * this.#random())
      }
    } catch {
      // It has been noted.
      await connection.closed
      return
    }
    const isAllRead =
      !isOrderlyUnread(fate) || (await connection.readLate(wait + (UNREAD_FOR * (1 + this.#random())) / 2))
    if (isAllRead) this.#ends.note(`${id}/client`, 'answered', requests)
    if (fate === 'server silent in flight') {
      await delay(wait + WRITE_AFTER)
      if (!connection.socket.destroyed) {
        this.#ends.note(id, 'wrote')
        connection.exchange({ id }).catch(() => {})
      }
    } else if (tlsFates[fate].by === 'client' && fate !== 'free socket timeout') {
      await delay(wait)
      const { socket, raw } = connection
      if (fate === 'client silent') {
        await this.#ends.vanish(id, socket, fate)
        return
      }
      if (fate === 'client resets') this.#ends.reset(id, socket, raw, fate)
      else {
        this.#ends.note(id, 'fate', fate)
        if (fate === 'client ends') connection.end()
        else connection.destroy()
      }
    }
    await connection.closed
  }

  /** Each once, so that none is missing in a short run, and then at random. */
  #nextWay() {
    if (this.#waysLeft.length > 0)
      return this.#waysLeft.splice(Math.floor(this.#waysLeft.length * this.#random()), 1)[0]
    const fate = pick(this.#random, fates).name
    return { fate, kind: this.#one(tlsFates[fate].kinds) }
  }

  #one(list) {
    return list[Math.floor(list.length * this.#random())]
  }
}

function isOrderlyUnread(fate) {
  return fate.endsWith(' unread') && tlsFates[fate].isOrderly
}

/** A TLS socket of which the soak knows all that it needs. */
class Connection {
  constructor(ends, key, plan, random, watchedShare) {
    Object.assign(this, { ends, key, plan, random, isWatched: random() < watchedShare })
    this.options = {
      host: plan.address,
      port: plan.port,
      rejectUnauthorized: false,
      maxVersion: random() < 0.5 ? 'TLSv1.3' : 'TLSv1.2',
    }
  }

  /** Only what lies under a TLS socket can be reset. */
  connect(options, onConnected) {
    const { address, port, fate } = this.plan
    if (fate === 'client resets') this.raw = net.connect(port, address)
    return tls.connect({ ...this.options, ...options, socket: this.raw }, onConnected)
  }

  /** As soon as there is a socket. */
  follow(socket) {
    this.socket = socket
    this.ends.descriptors++
    // Node connects in the next tick, and a socket that failed to connect has no ports any more.
    setImmediate(() => {
      const { localPort, remotePort } = this.raw ?? socket
      if (localPort) this.ends.note(this.key, 'ports', `${localPort} ${remotePort ?? this.plan.port}`)
    })
    this.closed = new Promise((resolve) => {
      const onClosed = () => {
        this.ends.descriptors--
        resolve()
      }
      this.ends.follow(socket, { key: this.key, onClosed })
    })
  }

  watch(target) {
    if (this.isWatched) this.ends.watch(this.socket, this.plan.group, target)
  }

  open() {
    this.ends.open(this.socket, this.plan)
  }

  noteError(error) {
    this.ends.noteError(this.key, error)
  }

  destroy() {
    this.socket.destroy()
  }

  end() {
    this.socket.end()
  }
}

class TlsConnection extends Connection {
  constructor(...args) {
    super(...args)
    const socket = this.connect({}, () => {
      tune(socket, groups[this.plan.group].profile)
      if (!isEarly) this.watch()
      this.open()
    })
    this.follow(socket)
    socket.on('error', (error) => this.noteError(error))
    endLate(socket, this.random)
    socket.on('data', (data) => {
      this.missing -= data.length
      if (this.missing > 0) return
      if (this.isLast && this.plan.fate.endsWith(' unread') && !this.isReadingLate) socket.pause()
      this.onAnswer()
    })
    const isEarly = !this.raw && this.random() < 0.5
    if (isEarly) this.watch()
  }

  exchange(order) {
    this.missing = order.size + 1
    this.isLast = order.isLast
    this.socket.write(`${JSON.stringify(order)}\n`)
    return new Promise((resolve, reject) => {
      this.onAnswer = resolve
      this.closed.then(() => reject(new Error('It was closed before the answer was complete.')))
    })
  }

  /** Reads what came after the last answer, that late. @returns whether it was all there */
  async readLate(after) {
    await delay(after)
    this.isReadingLate = true
    this.socket.resume()
    await this.closed
    return this.missing === -UNREAD
  }
}

class HttpsConnection extends Connection {
  constructor(...args) {
    super(...args)
    const { fate, group } = this.plan
    const { profile } = groups[group]
    const options = { ...this.options, maxSockets: 1, keepAlive: fate !== 'one request' }
    this.isOurs = fate !== 'client resets' && (fate === 'free socket timeout' || this.random() < 0.5)
    if (this.isOurs) {
      const freeSocketTimeout = fate === 'free socket timeout' ? IDLE_TIMEOUT : 0
      const watch = (this.isWatched && this.ends.watcher(group)) || false
      this.agent = new HttpsAgent({ ...options, profile, watch, freeSocketTimeout })
    } else {
      this.agent = new https.Agent(options)
      tune(this.agent, profile)
    }
    if (fate === 'client resets') this.agent.createConnection = (options) => this.connect(options)
  }

  async exchange(order) {
    const headers = { 'x-order': JSON.stringify(order) }
    const request = https.get({ ...this.options, agent: this.agent, headers })
    request.on('error', (error) => this.noteError(error))
    const closed = new Promise((resolve) => {
      request.once('close', resolve)
    })
    request.once('socket', (socket) => {
      if (this.socket) return
      this.follow(socket)
      if (!this.isOurs) this.watch(this.random() < 0.5 ? socket : request)
      // The agent adds it to the watcher once it has connected.
      socket.once('connect', () => {
        if (this.isOurs && this.isWatched) this.ends.countWatched(socket, this.plan.group)
        this.open()
      })
    })
    const [response] = await once(request, 'response')
    response.on('error', (error) => this.noteError(error))
    let body = ''
    response.setEncoding('latin1').on('data', (data) => {
      body += data
    })
    await once(response, 'end')
    // The socket is free then.
    await closed
    return body
  }

  destroy() {
    this.agent.destroy()
  }
}

class Http2Connection extends Connection {
  constructor(...args) {
    super(...args)
    this.follow(this.connect({ ALPNProtocols: ['h2'] }))
    this.session = http2.connect('https://localhost', { createConnection: () => this.socket })
    this.session.on('error', (error) => this.noteError(error))
    this.session.once('connect', () => {
      tune(this.session, groups[this.plan.group].profile)
      this.watch(this.random() < 0.5 ? this.socket : this.session)
      this.open()
    })
  }

  async exchange(order) {
    const stream = this.session.request({ ':path': '/', 'x-order': JSON.stringify(order) })
    stream.on('error', (error) => this.noteError(error))
    const closed = new Promise((resolve) => {
      stream.once('close', resolve)
    })
    stream.resume()
    await once(stream, 'end')
    await closed
  }

  destroy() {
    this.session.destroy()
  }

  end() {
    this.session.close()
  }
}

const connections = { tls: TlsConnection, https: HttpsConnection, http2: Http2Connection }

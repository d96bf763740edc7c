import http2 from 'node:http2'
import https from 'node:https'
import tls from 'node:tls'
import { HttpsAgent, type HttpsAgentOptions, type Snapshot } from '../../src/http.js'
import type { Watcher, WatchStats } from '../../src/index.js'

// Requests and TLS connections that both sides close in order, some at a time. Each way is played unwatched and watched, and returns how
// many errors the program saw.

/** Where the servers of fixtures/tls-server.mjs listen. */
export interface Servers {
  readonly host: string
  readonly ports: Readonly<Record<string, number>>
  readonly rejectUnauthorized: false
}

interface Outcome {
  answered: boolean
  errors: number
}

interface Player {
  once(): Promise<Outcome>
  readonly agent?: https.Agent
}

export interface Played extends Outcomes {
  readonly stats: WatchStats | undefined
  readonly total: Snapshot['total'] | undefined
}

interface Outcomes {
  readonly played: number
  readonly answered: number
  readonly errors: number
}

function agentFor(watcher: Watcher | undefined, options: HttpsAgentOptions): https.Agent {
  return watcher
    ? new HttpsAgent({ ...options, freeSocketTimeout: 0, watch: watcher })
    : new https.Agent(options)
}

export const ways: Record<string, (at: Servers, watcher: Watcher | undefined) => Player> = {
  /** One connection a request. */
  'one-shot HTTPS'(at, watcher) {
    const agent = agentFor(watcher, { keepAlive: false })
    return { once: () => get({ ...at, port: at.ports.https!, agent }), agent }
  },
  /** The server closes each connection 1 ms after its last request, before there is another. */
  'HTTPS on kept connections'(at, watcher) {
    const agent = agentFor(watcher, { keepAlive: true })
    return { once: () => get({ ...at, port: at.ports.https!, agent }, true), agent }
  },
  /** The server destroys its side right after its answer. */
  'bare TLS': (at, watcher) => ({
    once: () =>
      connectTls({ ...at, port: at.ports.tls! }, (socket, outcome) => {
        watcher?.add(socket)
        socket.write('hello\n')
        socket.on('data', () => {
          outcome.answered = true
        })
      }),
  }),
  /** Dropped by the client while idle, without a close_notify, and with nothing unread: that would reset it. */
  'TLS that the client destroys': (at, watcher) => ({
    once: () =>
      connectTls({ ...at, port: at.ports.https! }, (socket, outcome) => {
        watcher?.add(socket)
        outcome.answered = true
        // TLS 1.3 sends two session tickets after the handshake.
        let tickets = 0
        socket.on('session', () => ++tickets === 2 && setImmediate(() => socket.destroy()))
      }),
  }),
  /** The server sends GOAWAY after the first stream. */
  'HTTP/2 with GOAWAY': (at, watcher) => ({
    once: () =>
      new Promise((resolve) => {
        const outcome = { answered: false, errors: 0 }
        const count = () => void outcome.errors++
        const host = at.host.includes(':') ? `[${at.host}]` : at.host
        const session = http2.connect(`https://${host}:${at.ports.http2}`, { rejectUnauthorized: false })
        session.on('connect', () => watcher?.add(session))
        session.on('error', count)
        session.on('close', () => resolve(outcome))
        const stream = session.request()
        stream.on('error', count)
        stream.on('data', () => {
          outcome.answered = true
        })
      }),
  }),
}

/** Plays `count` of one way, `atOnce` at a time. */
export async function play(
  way: string,
  at: Servers,
  watcher: Watcher | undefined,
  count: number,
  atOnce: number,
): Promise<Played> {
  const { once, agent } = ways[way]!(at, watcher)
  const outcomes: Outcome[] = []
  let left = count
  const playSome = async () => {
    while (left-- > 0) outcomes.push(await once())
  }
  await Promise.all(Array.from({ length: atOnce }, playSome))
  agent?.destroy()
  while (watcher && watcher.size > 0) await new Promise((resolve) => setTimeout(resolve, 10))
  return {
    played: outcomes.length,
    answered: outcomes.filter(({ answered }) => answered).length,
    errors: outcomes.reduce((sum, { errors }) => sum + errors, 0),
    stats: watcher?.stats(),
    total: agent instanceof HttpsAgent ? agent.snapshot().total : undefined,
  }
}

function connectTls(
  options: tls.ConnectionOptions,
  connected: (socket: tls.TLSSocket, outcome: Outcome) => void,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const outcome = { answered: false, errors: 0 }
    const socket = tls.connect(options, () => connected(socket, outcome))
    socket.on('error', () => void outcome.errors++)
    socket.on('close', () => resolve(outcome))
  })
}

function get(options: https.RequestOptions, untilClosed = false): Promise<Outcome> {
  return new Promise((resolve) => {
    const outcome = { answered: false, errors: 0 }
    let isClosed = false
    const count = () => void outcome.errors++
    const request = https.get(options, (response) => {
      response.resume()
      response.on('error', count)
      response.on('end', () => {
        outcome.answered = true
      })
    })
    request.on('error', count)
    request.on('socket', (socket) =>
      socket.once('close', () => {
        isClosed = true
        if (untilClosed && request.closed) resolve(outcome)
      }),
    )
    request.on('close', () => {
      if (!untilClosed || isClosed) setImmediate(resolve, outcome)
    })
  })
}

import http2 from 'node:http2'
import https from 'node:https'
import tls from 'node:tls'
import { HttpsAgent } from '../../dist/http/index.js'
import { watch } from '../../dist/index.js'

// Requests and TLS connections that both sides close in order, some at a time, unwatched or watched. The servers run in another process
// (test/loopback/fixtures/tls-server.mjs), on this host or in another network namespace.

/** One connection at a time, or several together. */
const ways = {
  /** Each request has its own connection. */
  'one-shot HTTPS'(at, watcher) {
    const agent = agentFor(watcher, { keepAlive: false })
    return { agent, play: () => get({ ...at, port: at.ports.https, agent }).closed }
  },
  /** The server closes each connection 1 ms after its last request, before the next one. */
  'HTTPS on kept connections'(at, watcher) {
    const agent = agentFor(watcher, { keepAlive: true })
    return { agent, play: () => get({ ...at, port: at.ports.https, agent }, true).closed }
  },
  /** The server closes while clients hold idle connections. */
  'HTTPS when the server closes'(at, watcher) {
    const agent = agentFor(watcher, { keepAlive: true })
    const playTogether = async (count) => {
      at.server.send('serve')
      const { port } = await messageFrom(at.server)
      const gets = Array.from({ length: count }, () => get({ ...at, port, agent }, true))
      await Promise.all(gets.map(({ answered }) => answered))
      at.server.send('close')
      return Promise.all(gets.map(({ closed }) => closed))
    }
    return { agent, playTogether }
  },
  /** The server destroys its side right after its answer. */
  'bare TLS': (at, watcher) => ({
    play: () =>
      connectTls({ ...at, port: at.ports.tls }, (socket, outcome) => {
        watcher?.add(socket)
        socket.write('hello\n')
        socket.on('data', () => {
          outcome.answered = true
        })
      }),
  }),
  /** The client drops idle connections without a close_notify. It has read everything: unread data would reset the connection. */
  'TLS that the client destroys': (at, watcher) => ({
    play: () =>
      connectTls({ ...at, port: at.ports.https }, (socket, outcome) => {
        watcher?.add(socket)
        outcome.answered = true
        // TLS 1.3 sends two session tickets after the handshake.
        let tickets = 0
        socket.on('session', () => ++tickets === 2 && setImmediate(() => socket.destroy()))
      }),
  }),
  /** The server sends GOAWAY after the first stream. */
  'HTTP/2 with GOAWAY': (at, watcher) => ({
    play: () =>
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

export const names = Object.keys(ways)

/** Plays one way. Returns the number of errors that the program saw and, if watched, what the watcher and the agent say. */
export async function play(way, at, { watched, count, atOnce }) {
  const deaths = []
  const watcher = watched ? watch() : undefined
  watcher?.on('dead', ({ error }) => deaths.push(error.message))
  const { play: playOne, playTogether, agent } = ways[way](at, watcher)
  const outcomes = []
  let left = count
  const playSome = async () => {
    while (left-- > 0) outcomes.push(await playOne())
  }
  if (playTogether)
    for (; left > 0; left -= atOnce) outcomes.push(...(await playTogether(Math.min(left, atOnce))))
  else await Promise.all(Array.from({ length: atOnce }, playSome))
  agent?.destroy()
  while (watcher?.size > 0) await new Promise((resolve) => setTimeout(resolve, 10))
  const played = {
    played: outcomes.length,
    answered: outcomes.filter(({ answered }) => answered).length,
    errors: outcomes.reduce((sum, { errors }) => sum + errors, 0),
    deaths,
    stats: watcher?.stats(),
    total: agent instanceof HttpsAgent ? agent.snapshot().total : undefined,
  }
  watcher?.close()
  return played
}

/** How many connections the server accepted since it was last asked, how many errors it saw, and what its watcher says of all. */
export function countOf({ server }) {
  server.send('count')
  return messageFrom(server)
}

/** The next message of a server process. Rejects if the process ends before. */
export function messageFrom(server) {
  return new Promise((resolve, reject) => {
    const onDisconnect = () => reject(new Error('the server process ended without a message'))
    server.once('disconnect', onDisconnect)
    server.once('message', (message) => {
      server.off('disconnect', onDisconnect)
      resolve(message)
    })
  })
}

function agentFor(watcher, options) {
  return watcher
    ? new HttpsAgent({ ...options, freeSocketTimeout: 0, watch: watcher })
    : new https.Agent(options)
}

function connectTls(options, connected) {
  return new Promise((resolve) => {
    const outcome = { answered: false, errors: 0 }
    const socket = tls.connect(options, () => connected(socket, outcome))
    socket.on('error', () => void outcome.errors++)
    socket.on('close', () => resolve(outcome))
  })
}

/** One request. `closed` is resolved when it is over, or with `untilClosed` when its connection is closed as well. */
function get(options, untilClosed = false) {
  const outcome = { answered: false, errors: 0 }
  const count = () => void outcome.errors++
  const request = https.get(options)
  request.on('error', count)
  const answered = new Promise((resolve) => {
    request.on('response', (response) => {
      response.resume()
      response.on('error', count)
      response.on('end', () => {
        outcome.answered = true
        resolve()
      })
    })
    request.on('close', resolve)
  })
  const closed = new Promise((resolve) => {
    let isClosed = false
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
  return { answered, closed }
}

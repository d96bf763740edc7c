import type net from 'node:net'
import { BorrowedSocket } from '../connection/borrowed.js'
import { socketOf, type Target, unwrap } from '../connection/target.js'
import { InvalidTypeError } from '../errors.js'
import { type Check, describe, mustBe } from '../options/check.js'

/**
 * What is sent before unanswered probes become a verdict. TCP decides whether it arrived; the application's answer does not matter.
 *
 * - `'ping'`: a ping of the WebSocket (of ws) that uses the connection, or of the HTTP/2 session that was passed. For the sessions of a server,
 *   add each session, or pass a function.
 * - A function that sends something on the connection, such as a query. If it throws, that is an uncaught exception. If it returns a promise, its
 *   rejection is ignored.
 */
export type Confirm = 'ping' | ((socket: net.Socket) => unknown)

export const confirmOption: Check = (value, field) => {
  if (value === 'ping' || typeof value === 'function') return
  throw new InvalidTypeError(
    mustBe(field, "'ping' or a function that sends something on the connection", describe(value)),
    { field },
  )
}

/** The value of `unproven`. */
export const unprovenOption: Check = (value, field) => {
  if (value === 'dead') return
  throw new InvalidTypeError(
    `${mustBe(field, "'dead'", describe(value))} Leave it out to declare no peer dead on a path that is not known to answer probes.`,
    { field },
  )
}

/**
 * A function that sends what `confirm` says on a target's connection.
 *
 * @throws {@link InvalidTypeError} for a descriptor or a socket of another process; for `'ping'`, if the connection has no WebSocket of ws and no
 * HTTP/2 session.
 */
export function confirmOf(confirm: Confirm, target: Target): () => void {
  if (typeof target === 'number' || target instanceof BorrowedSocket) {
    throw new InvalidTypeError(
      '`confirm` needs a connection of this process, such as a net.Socket or a WebSocket. deadpeer cannot send data on a descriptor or a borrowed socket.',
      { field: 'confirm' },
    )
  }
  const socket = unwrap(socketOf(target))
  noteSession(socket, target)
  if (confirm === 'ping' && !pingOf(socket)) {
    throw new InvalidTypeError(
      "`confirm: 'ping'` needs a WebSocket of ws or an HTTP/2 session on the connection. Pass a function that sends something instead.",
      { field: 'confirm' },
    )
  }
  return () => send(confirm, socket)
}

/** Sends what `confirm` says. Not on a socket that the program has ended or destroyed: that would be an error that Node alone does not raise. */
export function send(confirm: Confirm, socket: net.Socket): void {
  if (!socket.writable) return
  if (confirm === 'ping') {
    const ping = pingOf(socket)
    if (ping) ping()
    else warnOnce()
    return
  }
  Promise.resolve(confirm(socket)).catch(() => {})
}

// biome-ignore lint/suspicious/noExplicitAny: objects are recognized by their members
type Members = Record<string | symbol, any>

/** The HTTP/2 sessions that callers have passed. A socket does not lead to its session. */
const sessions = new WeakMap<net.Socket, Members>()

/** Notes the HTTP/2 session that uses a socket, if `target` is one. */
export function noteSession(socket: net.Socket, target: object): void {
  const session: Members = target
  if (typeof session.ping === 'function' && typeof session.goaway === 'function')
    sessions.set(socket, session)
}

/** The ping of the WebSocket or HTTP/2 session that uses a socket. ws keeps the WebSocket on the socket, with a symbol. */
function pingOf(socket: net.Socket): (() => void) | undefined {
  const session = sessions.get(socket)
  if (session && !session.destroyed) return () => session.ping(() => {})
  for (const symbol of Object.getOwnPropertySymbols(socket)) {
    const user: Members | undefined = (socket as unknown as Members)[symbol]
    if (typeof user?.ping !== 'function') continue
    if (typeof user.terminate === 'function') return () => user.ping()
  }
  return undefined
}

let hasWarned = false

function warnOnce(): void {
  if (hasWarned) return
  hasWarned = true
  process.emitWarning(
    "`confirm: 'ping'` found no WebSocket of ws and no HTTP/2 session on a connection, so nothing was sent. Pass a function that sends something.",
    { code: 'DEADPEER_CONFIRM' },
  )
}

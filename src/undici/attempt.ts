import diagnostics from 'node:diagnostics_channel'
import type net from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { AgentConnections } from '../http/agent-connections.js'
import type { Connection } from '../http/connection.js'
import { parseKeepAlive } from '../http/keep-alive.js'
import { failureOf, judge, keepVerdict } from '../http/stale.js'
import { tryOr } from '../options/try-or.js'
import type { IdleConnections } from './idle-connections.js'

/** The attempt whose request undici is writing. undici reports the connection in the same call. */
let writing: Attempt | undefined
let isSubscribed = false

function subscribe(): void {
  if (isSubscribed) return
  isSubscribed = true
  diagnostics.subscribe('undici:client:sendHeaders', (message) => {
    const attempt = writing
    writing = undefined
    attempt?.sent((message as { socket: net.Socket }).socket)
  })
}

/** A request on one connection. */
interface Use {
  readonly connection: Connection
  /** Whether the connection had a request before. */
  readonly isReuse: boolean
  /** How many bytes the peer had acknowledged before. */
  readonly ackedBefore: number
}

/** One attempt to send a request. It counts the outcome. */
export class Attempt {
  readonly #connections: AgentConnections
  readonly #idle: IdleConnections
  readonly #origin: string
  readonly #asksForClose: boolean
  /** `undefined` until the request is sent, for a connection that the agent did not open, and for HTTP/2 with undici 6. */
  #use: Use | undefined
  #isAnswered = false

  /** @param asksForClose whether the request itself asks the server to close the connection. */
  constructor(connections: AgentConnections, idle: IdleConnections, origin: string, asksForClose: boolean) {
    this.#connections = connections
    this.#idle = idle
    this.#origin = origin
    this.#asksForClose = asksForClose
    subscribe()
  }

  begin(): void {
    this.#use = undefined
    writing = this
  }

  /** Called if the request was aborted before any of it was written. */
  abort(): void {
    if (writing === this) writing = undefined
  }

  sent(socket: net.Socket): void {
    const connection = this.#connections.find(socket)
    if (!connection) return
    const isReuse = connection.requests++ > 0
    connection.active++
    connection.isFree = false
    this.#idle.delete(connection)
    if (isReuse) this.#connections.count(this.#origin, 'reusedRequests')
    this.#use = { connection, isReuse, ackedBefore: isReuse ? connection.bytesAcked() : Number.NaN }
  }

  answered(headers: unknown): void {
    this.#isAnswered = true
    if (!this.#use) return
    const { connection } = this.#use
    if (!this.#asksForClose && announcesClose(headers)) connection.isCloseAnnounced = true
    const { timeout } = parseKeepAlive(headerOf(headers, 'keep-alive'))
    if (timeout !== undefined) this.#connections.idleLimit(connection.origin)?.announced(timeout)
  }

  /** Called when the response is complete. */
  ended(): void {
    const { connection } = this.#use ?? {}
    // A session of HTTP/2 is not closed before reuse, because undici may open streams on it at any time.
    if (!connection || --connection.active > 0 || isHttp2(connection) || connection.socket.destroyed) return
    this.#idle.add(connection)
  }

  /**
   * @param mayRepeat whether the request may be sent again.
   * @returns whether the caller must send it again, because its connection was already gone: see {@link judgeStale}.
   */
  failed(error: unknown, mayRepeat: boolean): boolean {
    const connections = this.#connections
    const verdict = this.#use && judgeUse(this.#use, error, this.#isAnswered)
    if (verdict) keepVerdict(error, verdict)
    const isRepeated = mayRepeat && verdict?.isStaleIfIdempotent === true
    const isStale = isRepeated || verdict?.isStale === true
    if (this.#use && isStale) connections.staleReuse(this.#use.connection, false)
    if (this.#use && isRepeated) connections.retried(this.#use.connection, this.#origin)
    else connections.count(this.#origin, isStale ? 'staleReuses' : 'failedRequests')
    return isRepeated
  }
}

function judgeUse({ connection, isReuse, ackedBefore }: Use, error: unknown, answered: boolean) {
  const acknowledged = connection.hasAcknowledgedSince(ackedBefore)
  const failure = failureOf(error) ?? (tryOr(() => isClosed(error), false) ? 'closed' : undefined)
  return judge(failure, { reused: isReuse, answered, peerClosed: true, acknowledged })
}

/** Whether the peer has closed its side, or the HTTP/2 session. */
function isClosed(error: unknown): boolean {
  const { code = '' } = (error ?? {}) as NodeJS.ErrnoException
  return ['UND_ERR_SOCKET', 'ERR_HTTP2_GOAWAY_SESSION', 'ERR_HTTP2_STREAM_CANCEL'].includes(code)
}

function announcesClose(headers: unknown): boolean {
  return /\bclose\b/i.test(headerOf(headers, 'connection') ?? '')
}

/** Headers are an object, or an array of names and values in turn. */
function headerOf(headers: unknown, name: string): string | undefined {
  const value = Array.isArray(headers)
    ? valueIn(headers, name)
    : (headers as Record<string, unknown> | undefined)?.[name]
  return value === undefined ? undefined : String(value)
}

function valueIn(headers: readonly unknown[], name: string): unknown {
  const at = headers.findIndex((each, i) => i % 2 === 0 && String(each).toLowerCase() === name)
  return at < 0 ? undefined : headers[at + 1]
}

function isHttp2({ socket }: Connection): boolean {
  return (socket as Partial<TLSSocket>).alpnProtocol === 'h2'
}

import diagnostics from 'node:diagnostics_channel'
import type net from 'node:net'
import type { AgentConnections } from '../http/agent-connections.js'
import type { Connection } from '../http/connection.js'
import { failureOf, judge, keepVerdict } from '../http/stale.js'
import { tryOr } from '../options/try-or.js'

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
  readonly #origin: string
  readonly #asksForClose: boolean
  /** `undefined` until the request is sent, for a connection that the agent did not open, and for HTTP/2 with undici 6. */
  #use: Use | undefined
  #isAnswered = false

  /** @param asksForClose whether the request itself asks the server to close the connection. */
  constructor(connections: AgentConnections, origin: string, asksForClose: boolean) {
    this.#connections = connections
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
    if (isReuse) this.#connections.count(this.#origin, 'reusedRequests')
    this.#use = { connection, isReuse, ackedBefore: isReuse ? connection.bytesAcked() : Number.NaN }
  }

  answered(headers: unknown): void {
    this.#isAnswered = true
    if (this.#use && !this.#asksForClose && announcesClose(headers))
      this.#use.connection.isCloseAnnounced = true
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

/** Headers are an object, or an array of names and values in turn. */
function announcesClose(headers: unknown): boolean {
  const value = Array.isArray(headers)
    ? headers[headers.findIndex((each, i) => i % 2 === 0 && String(each).toLowerCase() === 'connection') + 1]
    : (headers as { connection?: unknown } | undefined)?.connection
  return /\bclose\b/i.test(String(value ?? ''))
}

/** The headers of a response that concern the connection. */
export interface Headers {
  /** `undefined` if the response has no such header. */
  readonly connection?: string
  readonly keepAlive?: string
  readonly via?: string
  readonly server?: string
  /** Sent by `deadpeer http --serve`. */
  readonly deadpeerOrigin?: string
  /** The hop-by-hop headers that came in more than one line. */
  readonly repeated: readonly string[]
}

/** One request and its response. Times in ms. */
export interface Exchange {
  readonly status: number
  readonly httpVersion: string
  /** The number of its connection. */
  readonly connection: number
  readonly reused: boolean
  /** From the request to the end of the response, without the time to open a connection. */
  readonly took: number
  readonly headers: Headers
  /**
   * How long after the end of this response the server closed the connection, before the next request. Left out if it did not, or if the
   * response announced that the connection ends with it.
   */
  readonly closedAfter?: number
  /** Whether the server closed it before a client could have sent another request. */
  readonly closedAtOnce?: boolean
  /** HTTP/2: the error code of a GOAWAY before the next request. 0 is an orderly end. */
  readonly goaway?: number
  /** The error of a first attempt, on a connection that the server was closing. This is the second attempt, on a new connection. */
  readonly repeatedAfter?: string
}

/** The headers of a response that concern the connection. `raw` has alternating names and values, as in `rawHeaders`. */
export function headersOf(raw: readonly string[]): Headers {
  const lines = (name: string) => raw.filter((_, i) => i % 2 === 1 && raw[i - 1]!.toLowerCase() === name)
  const all = {
    connection: lines('connection'),
    keepAlive: lines('keep-alive'),
    via: lines('via'),
    server: lines('server'),
    deadpeerOrigin: lines('deadpeer-origin'),
  }
  const present = Object.entries(all).filter(([, values]) => values.length > 0)
  return {
    ...Object.fromEntries(present.map(([name, values]) => [name, values.join(', ')])),
    repeated: [
      ...(all.connection.length > 1 ? ['Connection'] : []),
      ...(all.keepAlive.length > 1 ? ['Keep-Alive'] : []),
    ],
  }
}

/** The promise of a `Keep-Alive` header: `timeout` in ms, `max` requests. */
export function promiseOf({ keepAlive = '' }: Headers): { timeout?: number; max?: number } {
  const of = (name: string) => new RegExp(`(?:^|[,;\\s])${name}\\s*=\\s*"?(\\d+)`, 'i').exec(keepAlive)?.[1]
  const [timeout, max] = [of('timeout'), of('max')]
  return {
    ...(timeout !== undefined && { timeout: Number(timeout) * 1_000 }),
    ...(max !== undefined && { max: Number(max) }),
  }
}

/** Whether a `Connection` header has a token. */
export function says({ connection = '' }: Headers, token: string): boolean {
  return connection
    .toLowerCase()
    .split(/\s*,\s*/)
    .includes(token)
}

/** The server began a response and did not finish it, which says nothing about idle connections. */
export class CutOff extends Error {}

/** A header as it came, with every line of it. */
export interface Headers {
  /** `undefined` where there is none. */
  readonly connection?: string
  readonly keepAlive?: string
  readonly via?: string
  readonly server?: string
  /** Which of the hop-by-hop ones came in more than one line. */
  readonly repeated: readonly string[]
}

/** One request and its answer. Times in ms. */
export interface Exchange {
  readonly status: number
  readonly httpVersion: string
  /** The number of the connection that it went over. */
  readonly connection: number
  readonly reused: boolean
  /** From the request to the end of the answer, without what opening a connection took. */
  readonly took: number
  readonly headers: Headers
  /**
   * How long after the end of this answer the other side closed the connection, before the next request; left out where it did not, or where
   * the answer had said that the connection ends with it.
   */
  readonly closedAfter?: number
  /** Whether that was before anything else could have been asked. */
  readonly closedAtOnce?: boolean
  /** HTTP/2: the error code of the GOAWAY that came before the next request. 0 is an orderly end. */
  readonly goaway?: number
  /** The first attempt met a connection that was being closed, and this is the second, on another. */
  readonly repeatedAfter?: string
}

/** What the headers of an answer say of the connection. `raw` has names and values by turns, as Node gives them. */
export function headersOf(raw: readonly string[]): Headers {
  const lines = (name: string) => raw.filter((_, i) => i % 2 === 1 && raw[i - 1]!.toLowerCase() === name)
  const all = {
    connection: lines('connection'),
    keepAlive: lines('keep-alive'),
    via: lines('via'),
    server: lines('server'),
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

/** What a `Keep-Alive` header promises: `timeout` in ms, `max` requests. */
export function promiseOf({ keepAlive = '' }: Headers): { timeout?: number; max?: number } {
  const of = (name: string) => new RegExp(`(?:^|[,;\\s])${name}\\s*=\\s*"?(\\d+)`, 'i').exec(keepAlive)?.[1]
  const [timeout, max] = [of('timeout'), of('max')]
  return {
    ...(timeout !== undefined && { timeout: Number(timeout) * 1_000 }),
    ...(max !== undefined && { max: Number(max) }),
  }
}

/** Whether a token is in a `Connection` header. */
export function says({ connection = '' }: Headers, token: string): boolean {
  return connection
    .toLowerCase()
    .split(/\s*,\s*/)
    .includes(token)
}

/** The server began an answer and did not finish it. This is not about an idle connection. */
export class CutOff extends Error {}

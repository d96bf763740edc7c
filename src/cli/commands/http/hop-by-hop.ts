import { type Headers, headersOf } from './exchange.js'
import type { Opener } from './opening.js'
import { CONNECTION, NOMINATED, ORIGIN_TIMEOUT, parseReached, type Reached } from './origin.js'
import { type Answer, NoResponse, SingleConnection, type Version } from './single-connection.js'

/** Sent in `Keep-Alive`, seconds. A proxy that passes the header on passes on this number. */
const CLIENT_TIMEOUT = 61

/** The headers that apply to one connection only. A proxy must not pass them on: RFC 9110, 7.6.1. `Deadpeer-Hop` is named by `Connection`. */
export const hopByHop = ['Connection', 'Keep-Alive', 'Proxy-Connection', 'TE', 'Upgrade', NOMINATED] as const
export type HopByHop = (typeof hopByHop)[number]

/** The second request on the connection of the first. */
export type Second =
  /** It was answered. */
  | 'answered'
  /** The response to the first ended the connection, or announced its end. */
  | 'announced-close'
  /** The connection was closed, although the response let the client reuse it. */
  | 'closed'
  /** It got no response, and the connection stayed open. */
  | 'no-response'

/** What was found with one version of HTTP. */
export interface Examination {
  readonly version: Version
  /** Whether there is no proxy: the origin has seen the client's own port. */
  readonly isDirect: boolean
  /** The version with which the request reached the origin. */
  readonly originVersion: string
  /** Headers of the requests that reached the origin. */
  readonly passedOn: readonly HopByHop[]
  /** Headers of the responses that reached the client. */
  readonly passedBack: readonly HopByHop[]
  /** `Via` of the request that reached the origin. */
  readonly via?: string
  readonly second: Second
  /** Whether the proxy used a connection to the origin for more than one request. Without a proxy: whether the client could. */
  readonly isOriginKept: boolean
}

export interface ExamineOptions {
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  /** For each response, ms. */
  readonly timeout: number
}

/** The answer does not come from `deadpeer http --serve`. */
export class NotOurOrigin extends Error {}

/** Sends three requests with hop-by-hop headers to a `deadpeer http --serve`. */
export async function examine(
  opener: Opener,
  version: Version,
  options: ExamineOptions,
): Promise<Examination> {
  const connections: SingleConnection[] = []
  const connect = async () => {
    const connection = new SingleConnection(await opener.open())
    connections.push(connection)
    return connection
  }
  const ask = (connection: SingleConnection, headers: Record<string, string>) =>
    connection.ask({ ...options, version, headers: { ...options.headers, ...headers } })
  const te = { Connection: 'keep-alive, TE', TE: 'trailers' }
  try {
    const connection = await connect()
    const answer = await ask(connection, {
      Connection: CONNECTION,
      'Keep-Alive': `timeout=${CLIENT_TIMEOUT}`,
      'Proxy-Connection': 'keep-alive',
      [NOMINATED]: '1',
    })
    const first = reachedOf(answer)
    const isDirect = first.from.port === connection.socket.localPort
    const { second, answer: again } = await askAgain(connection, answer, (on) => ask(on, te))
    connection.close()
    const other = reachedOf(again ?? (await ask(await connect(), te)))
    // A proxy may refuse it.
    const upgrade = parse(await ask(await connect(), { Connection: 'Upgrade', Upgrade: 'deadpeer/1' }))
    const { via } = first.headers
    return {
      version,
      isDirect,
      originVersion: first.httpVersion,
      passedOn: passedOn(first, other, upgrade),
      passedBack: passedBack(headersOf(answer.rawHeaders), answer),
      ...(via !== undefined && { via }),
      second,
      // A proxy may keep several connections, and send the second request on any of them.
      isOriginKept: other.request > 1 || (upgrade?.request ?? 0) > 1,
    }
  } finally {
    for (const each of connections) each.close()
  }
}

async function askAgain(
  connection: SingleConnection,
  { mayReuse }: Answer,
  ask: (connection: SingleConnection) => Promise<Answer>,
): Promise<{ second: Second; answer?: Answer }> {
  if (!mayReuse) return { second: 'announced-close' }
  try {
    return { second: 'answered', answer: await ask(connection) }
  } catch (error) {
    return { second: error instanceof NoResponse ? 'no-response' : 'closed' }
  }
}

function parse({ rawHeaders, body }: Answer): Reached | undefined {
  return parseReached(headersOf(rawHeaders), body)
}

/** @throws {@link NotOurOrigin} */
function reachedOf(answer: Answer): Reached {
  const reached = parse(answer)
  if (reached) return reached
  throw new NotOurOrigin(
    'is not a deadpeer http --serve for every request: the proxy or another server answered one of them',
  )
}

function passedOn(first: Reached, other: Reached, upgrade: Reached | undefined): HopByHop[] {
  const { headers } = first
  const reached: Record<HopByHop, boolean> = {
    Connection: isUnchanged(headers.connection),
    'Keep-Alive': headers['keep-alive'] === `timeout=${CLIENT_TIMEOUT}`,
    'Proxy-Connection': headers['proxy-connection'] !== undefined,
    TE: other.headers.te !== undefined,
    Upgrade: upgrade?.headers.upgrade !== undefined,
    [NOMINATED]: headers[NOMINATED.toLowerCase()] !== undefined,
  }
  return hopByHop.filter((name) => reached[name])
}

function passedBack({ connection, keepAlive }: Headers, { rawHeaders }: Answer): HopByHop[] {
  const found: HopByHop[] = []
  if (isUnchanged(connection)) found.push('Connection')
  if (keepAlive?.includes(`timeout=${ORIGIN_TIMEOUT}`)) found.push('Keep-Alive')
  const isThere = rawHeaders.some((name, i) => i % 2 === 0 && name.toLowerCase() === NOMINATED.toLowerCase())
  if (isThere) found.push(NOMINATED)
  return found
}

/** A proxy that supports keep-alive writes the header anew, even if it passes on the names in it. */
function isUnchanged(connection: string | undefined): boolean {
  return connection?.toLowerCase() === CONNECTION.toLowerCase()
}

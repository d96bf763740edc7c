import type net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { watchClosing } from './closing.js'
import { type Headers, headersOf, promiseOf } from './exchange.js'
import type { Opener } from './opening.js'
import { NoResponse, SingleConnection } from './single-connection.js'

/** How a reuse ended: the request was answered, or the connection was closed (FIN), reset, or did not respond. */
export type Outcome = 'kept' | 'closed' | 'reset' | 'silent'

/** One connection that was left idle. */
export interface Reuse {
  /** How long it was idle, ms. */
  readonly idle: number
  readonly outcome: Outcome
  /** Whether it ended without a second request. */
  readonly unasked: boolean
}

export interface IdleTimeout {
  /** The longest idle time that was tried, ms. */
  readonly upTo: number
  /** The limit is between these, ms. Without `atMost`, no connection ended. */
  readonly atLeast: number
  readonly atMost?: number
  /** How connections end at the limit. */
  readonly outcome?: Outcome
  /** `Keep-Alive: timeout=` of the first response, ms. */
  readonly announced?: number
  readonly reuses: readonly Reuse[]
}

export interface FindTimeoutOptions {
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly upTo: number
  /** For each response, ms. */
  readonly timeout: number
}

/** The server announced that it closes each connection after its response, so there is no idle limit. */
export class NeverIdle extends Error {}

/** The server closed connections of different ages at one moment. */
export class ClosedTogether extends Error {}

const CONNECTIONS = 12
/** Time between two new connections, ms. So an idle limit does not end two of them at one moment. */
const APART = 100
/** The shortest idle time of the first round is this share of the longest. */
const SPAN = 100
/** The limit is found to this, ms. */
const TOLERANCE = 1_000
const MOST_ROUNDS = 6

/** Leaves connections idle for different times and reuses them. */
export async function findTimeout(opener: Opener, options: FindTimeoutOptions): Promise<IdleTimeout> {
  const { upTo } = options
  const reuses: Reuse[] = []
  let announced: number | undefined
  let bracket: Bracket = { atLeast: 0, atMost: undefined, outcome: undefined }
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const { atLeast, atMost } = bracket
    const times = atMost === undefined ? geometric(upTo) : between(atLeast, atMost)
    const found = await leaveIdle(opener, times, options)
    reuses.push(...found.reuses)
    announced ??= promiseOf(found.headers).timeout
    bracket = bracketOf(reuses)
    if (bracket.atMost === undefined || bracket.atMost - bracket.atLeast <= TOLERANCE) break
  }
  return {
    upTo,
    atLeast: bracket.atLeast,
    ...(bracket.atMost !== undefined && { atMost: bracket.atMost, outcome: bracket.outcome! }),
    ...(announced !== undefined && { announced }),
    reuses: reuses.toSorted((a, b) => a.idle - b.idle),
  }
}

export interface Bracket {
  readonly atLeast: number
  readonly atMost: number | undefined
  readonly outcome: Outcome | undefined
}

/**
 * The limit is between the longest idle time with an answer and the shortest that ended a connection. A connection that ended by itself shows the
 * limit exactly.
 *
 * @throws {@link ClosedTogether} if connections that ended by themselves were idle for different times.
 */
export function bracketOf(reuses: readonly Reuse[]): Bracket {
  const ended = reuses.filter(({ outcome }) => outcome !== 'kept').sort((a, b) => a.idle - b.idle)
  const [first] = ended
  if (!first) return { atLeast: longest(reuses), atMost: undefined, outcome: undefined }
  const alone = ended.filter(({ unasked }) => unasked).map(({ idle }) => idle)
  if (alone.length > 1 && alone.at(-1)! - alone[0]! > toleranceOf(alone[0]!)) {
    const [from, to] = [alone[0]!, alone.at(-1)!].map((ms) => `${(ms / 1_000).toFixed(1)} s`)
    throw new ClosedTogether(
      `closed connections that were idle for ${from} to ${to}. It has no single idle limit, or it was restarted. Run the command again`,
    )
  }
  const atLeast = longest(reuses.filter(({ idle }) => idle < first.idle))
  const isExact = first.unasked
  return {
    atLeast: isExact ? Math.max(atLeast, first.idle - TOLERANCE) : atLeast,
    atMost: first.idle,
    outcome: first.outcome,
  }
}

function longest(reuses: readonly Reuse[]): number {
  return Math.max(0, ...reuses.filter(({ outcome }) => outcome === 'kept').map(({ idle }) => idle))
}

function toleranceOf(idle: number): number {
  return Math.max(TOLERANCE, idle / 20)
}

/** Two are left idle for the longest time, so that one confirms when the other is closed. */
function geometric(upTo: number): number[] {
  const steps = CONNECTIONS - 2
  return [...Array.from({ length: CONNECTIONS - 1 }, (_, i) => upTo * SPAN ** (i / steps - 1)), upTo]
}

function between(atLeast: number, atMost: number): number[] {
  return Array.from(
    { length: CONNECTIONS },
    (_, i) => atLeast + ((atMost - atLeast) * (i + 1)) / (CONNECTIONS + 1),
  )
}

/** Leaves a connection idle for each of these times. Ends early once two connections have ended. */
async function leaveIdle(
  opener: Opener,
  times: readonly number[],
  options: FindTimeoutOptions,
): Promise<{ reuses: Reuse[]; headers: Headers }> {
  const reuses: Reuse[] = []
  const enough = new AbortController()
  const connections: SingleConnection[] = []
  const lanes: Promise<void>[] = []
  let headers: Headers = headersOf([])
  try {
    for (const idle of times) {
      if (connections.length > 0) await delay(APART)
      if (enough.signal.aborted) break
      const connection = new SingleConnection(await opener.open())
      connections.push(connection)
      const { rawHeaders, mayReuse } = await connection.ask(options)
      if (connections.length === 1) {
        headers = headersOf(rawHeaders)
        if (!mayReuse) throw new NeverIdle('closes each connection after its response')
      }
      lanes.push(
        reuseAfter(connection, idle, options, enough.signal).then((reuse) => {
          if (reuse) reuses.push(reuse)
          if (reuses.filter(({ outcome }) => outcome !== 'kept').length >= 2) enough.abort()
        }),
      )
    }
    await Promise.all(lanes)
    return { reuses, headers }
  } finally {
    enough.abort()
    for (const each of connections) each.close()
    await Promise.allSettled(lanes)
  }
}

/** `undefined` if `signal` was aborted before there was a result. */
async function reuseAfter(
  connection: SingleConnection,
  idle: number,
  options: FindTimeoutOptions,
  signal: AbortSignal,
): Promise<Reuse | undefined> {
  const { socket } = connection
  const closing = watchClosing(socket, socket, ['end', 'close'])
  let isReset = false
  const noteReset = () => {
    isReset = true
  }
  socket.once('error', noteReset)
  const closed = new AbortController()
  const noteClosed = () => closed.abort()
  if (socket.destroyed) noteClosed()
  for (const event of ['end', 'close']) socket.once(event, noteClosed)
  await waitUnless(idle, AbortSignal.any([signal, closed.signal]))
  if (signal.aborted) return undefined
  const { closedAfter } = closing()
  if (closedAfter !== undefined) {
    return { idle: closedAfter, outcome: isReset ? 'reset' : 'closed', unasked: true }
  }
  try {
    await connection.ask(options)
    return { idle, outcome: 'kept', unasked: false }
  } catch (error) {
    return signal.aborted ? undefined : { idle, outcome: outcomeOf(error, socket), unasked: false }
  }
}

function outcomeOf(error: unknown, socket: net.Socket): Outcome {
  if (error instanceof NoResponse) return 'silent'
  const { errno } = error as NodeJS.ErrnoException
  return errno === undefined || socket.readableEnded ? 'closed' : 'reset'
}

async function waitUnless(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {})
}

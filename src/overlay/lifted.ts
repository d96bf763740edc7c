import type { NativeCore } from '../kernel/binding.js'
import { descriptorError, isFailure, isShortErrno, persist } from '../kernel/failure.js'
import { examine, type Keepalive, type Look, writeKeepalive } from '../kernel/liveness.js'
import { compileOptions, type OptionValues, readOptions, refusalError } from '../kernel/options.js'
import type { TcpInfo } from '../kernel/tcp-info.js'
import { ByCookie, type Kept } from './by-cookie.js'
import { clockFrom, type OwnClock, whileAsking, whileUnanswered, wholeSeconds } from './guard.js'

/**
 * A connection whose options differ from its own for the time of a question, or of a loan: those that go back. What anybody else writes
 * meanwhile counts as the connection's own from then on.
 */
export interface Lifted extends Kept<Lifted> {
  /** What goes back. */
  own: Keepalive
  /** What the socket has. */
  written: Keepalive
  /** Its own keepalive clock; `undefined` once all is to go back. */
  clock: OwnClock | undefined
  /** Probes of ours that the kernel counts as unanswered, that which is yet to leave with them. */
  unanswered: number
  /** Whether the kernel is being made to ask. */
  asking: boolean
  /** Whether nobody asks but the kernel, by a clock that it has been lent (overlay/loan.ts). A question takes that over. */
  isLent: boolean
}

const lifted = new ByCookie<Lifted>()

export function liftedBy(cookie: bigint): Lifted | undefined {
  return lifted.get(cookie)
}

export function liftedCount(): number {
  return lifted.size
}

export function keepLifted(entry: Lifted): void {
  if (lifted.get(entry.cookie) !== entry) lifted.add(entry)
}

export function forgetLifted(entry: Lifted): void {
  lifted.delete(entry)
}

/** Takes what others have written since for the connection's own. */
export function adopt(entry: Lifted, found: Keepalive): void {
  if (sameKeepalive(found, entry.written)) return
  const own: Record<string, unknown> = {}
  for (const name of keepaliveNames) {
    if (found[name] !== entry.written[name]) own[name] = found[name]
  }
  // Where it had been switched on for us it does not show that it was for them as well; but who writes a clock wants it to run.
  const wroteAll = 'interval' in own && 'count' in own
  if (found.enable && (wroteAll || 'initialDelay' in own)) own.enable = true
  // Nor does a value that is the same.
  if (wroteAll && entry.isLent) own.initialDelay = found.initialDelay
  entry.own = { ...entry.own, ...own }
  entry.written = found
  if (entry.clock && own.initialDelay !== undefined) entry.clock = clockFrom(entry.own)
}

/** What the socket should have now, by what was seen of it. */
export function liftedNow({ own, clock, unanswered, asking }: Lifted, look: Look): Keepalive {
  if (!clock) return own
  if (asking) return whileAsking(own, unanswered, clock, look.seenAt - look.heardAt)
  const wanted = whileUnanswered(own, unanswered, clock)
  // With data under way keepalive rests, and a raised userTimeout would hold for the retransmissions.
  return isUnderWay(look) ? { ...wanted, userTimeout: own.userTimeout } : wanted
}

export function isUnderWay(look: Look): boolean {
  return look.unacked > 0 || look.notSent > 0
}

export function sameKeepalive(a: Keepalive, b: Keepalive): boolean {
  // Spelled out, for it is done for each look at each question.
  return (
    a.enable === b.enable &&
    a.initialDelay === b.initialDelay &&
    a.interval === b.interval &&
    a.count === b.count &&
    a.userTimeout === b.userTimeout
  )
}

const keepaliveNames = ['enable', 'initialDelay', 'interval', 'count', 'userTimeout'] as const

/** Whether a question is open on this descriptor. A loan is not, and ends here: the connection has its own options then. */
export function isLifted(core: NativeCore, fd: number): boolean {
  return findQuestion(core, fd) !== undefined
}

function findQuestion(core: NativeCore, fd: number): Lifted | undefined {
  const entry = find(core, fd)
  if (!entry?.isLent) return entry
  endLoan(core, entry, fd)
  return undefined
}

/** Its own options go back, unless the descriptor is closed. */
export function endLoan(core: NativeCore, entry: Lifted, fd: number): void {
  forgetLifted(entry)
  const socket = { fd, cookie: entry.cookie }
  const seen = persist(() => examine(core, [socket])[0]!)
  if (typeof seen === 'number') return
  adopt(entry, seen.options)
  const write = () => writeKeepalive(core, [{ socket, before: seen.options, wanted: entry.own }], false)[0]
  let refusal = write()
  if (refusal && isShortErrno(refusal.errno)) refusal = write()
  // It was taken when it was first written: only a sandbox since refuses.
  if (refusal) process.emitWarning(refusalError(refusal, fd))
}

function find(core: NativeCore, fd: number): Lifted | undefined {
  if (lifted.size === 0) return undefined
  const cookie = core.readCookie(fd)
  return isFailure(cookie) ? undefined : lifted.get(cookie)
}

/** A connection's own options: what it has, or has back after the question that is open. */
export function readOwnOptions(core: NativeCore, fd: number): OptionValues {
  const values = readOptions(core, fd)
  const entry = find(core, fd)
  if (!entry) return values
  adopt(entry, values as Keepalive)
  return { ...values, ...(definedOnly(entry.own) as OptionValues) }
}

/** What an open question, or the end of a loan, will put back. */
export function toPutBack(core: NativeCore, fd: number): OptionValues {
  const entry = find(core, fd)
  if (!entry) return {}
  const values: OptionValues = {}
  for (const name of keepaliveNames) {
    if (entry.own[name] !== entry.written[name]) Object.assign(values, { [name]: entry.own[name] })
  }
  return values
}

/** The counters as they would be without the probes of an open question. */
export function withoutOurProbes(core: NativeCore, fd: number, info: TcpInfo): TcpInfo {
  const entry = find(core, fd)
  return entry ? { ...info, probes: Math.max(0, info.probes - entry.unanswered) } : info
}

/**
 * Writes a connection's own options, all or none, whether or not a question is open: then what the question needs stays as
 * it is, and what was written is there when it is over.
 *
 * @throws what the kernel refuses.
 */
export function writeOwnOptions(core: NativeCore, fd: number, values: OptionValues): void {
  const entry = findQuestion(core, fd)
  if (!entry) {
    apply(core, fd, values)
    return
  }
  const seen = examine(core, [{ fd, cookie: entry.cookie }])[0]!
  if (typeof seen === 'number') throw descriptorError(seen, fd)
  adopt(entry, seen.options)
  const changed: Lifted = { ...entry, own: { ...entry.own, ...keepaliveOf(values) } }
  if (entry.clock) changed.clock = clockWritten(entry, changed.own, values, seen.look) ?? entry.clock
  const wanted = liftedNow(changed, seen.look)
  const writes: OptionValues = { ...values }
  for (const name of keepaliveNames) {
    delete writes[name]
    const fires = name === 'initialDelay' && values[name] !== undefined && !entry.asking
    if (wanted[name] !== entry.written[name] || fires) Object.assign(writes, { [name]: wanted[name] })
  }
  apply(core, fd, definedOnly(writes))
  Object.assign(entry, { own: changed.own, clock: changed.clock, written: wanted })
}

/** Where a connection's own clock stands by what is written to it. */
function clockWritten(entry: Lifted, own: Keepalive, values: OptionValues, look: Look): OwnClock | undefined {
  const silence = look.seenAt - look.heardAt
  const sent = Math.max(0, look.probes - entry.unanswered)
  const { initialDelay } = own
  // Where the silence is longer the kernel asks at once, as it would have without us.
  if (values.initialDelay !== undefined) return { due: Math.max(initialDelay, silence), initialDelay, sent }
  if (!values.enable || entry.own.enable) return undefined
  const due = silence + initialDelay
  return { due, initialDelay: wholeSeconds(due), sent }
}

function keepaliveOf(values: OptionValues): Partial<Keepalive> {
  const part: Record<string, unknown> = {}
  for (const name of keepaliveNames) if (values[name] !== undefined) part[name] = values[name]
  return part as Partial<Keepalive>
}

function definedOnly<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T
}

function apply(core: NativeCore, fd: number, values: OptionValues): void {
  const refusal = core.apply(fd, compileOptions(core, values))
  if (refusal) throw refusalError(refusal, fd)
}

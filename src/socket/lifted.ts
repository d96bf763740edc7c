import type { NativeCore } from '../kernel/binding.js'
import { examine, type Keepalive, type Look } from '../kernel/liveness.js'
import { compileOptions, type OptionValues, readOptions, refusalError } from '../kernel/options.js'
import type { TcpInfo } from '../kernel/tcp-info.js'
import { type OwnClock, whileAsking, whileUnanswered } from './guard.js'

/**
 * A connection whose options differ from its own for the time of a question: those that go back. What anybody else writes meanwhile
 * counts as the connection's own from then on.
 */
export interface Lifted {
  readonly cookie: bigint
  /** What goes back. */
  own: Keepalive
  /** What the socket has. */
  written: Keepalive
  clock: OwnClock
  /** Probes of ours that the kernel counts as unanswered, that which is yet to leave with them. */
  unanswered: number
  /** Whether the kernel is being made to ask. */
  asking: boolean
}

const lifted = new Map<bigint, Lifted>()

export function liftedBy(cookie: bigint): Lifted | undefined {
  return lifted.get(cookie)
}

export function keepLifted(entry: Lifted): void {
  lifted.set(entry.cookie, entry)
}

export function forgetLifted(entry: Lifted): void {
  lifted.delete(entry.cookie)
}

/** Takes what others have written since for the connection's own. */
export function adopt(entry: Lifted, found: Keepalive): void {
  if (sameKeepalive(found, entry.written)) return
  const own: Record<string, unknown> = {}
  for (const name of keepaliveNames) {
    if (found[name] !== entry.written[name]) own[name] = found[name]
  }
  entry.own = { ...entry.own, ...own }
  entry.written = found
  if (own.initialDelay !== undefined) {
    const { initialDelay } = entry.own
    entry.clock = { due: initialDelay, initialDelay }
  }
}

/** What the socket should have now, by what was seen of it. */
export function liftedNow(entry: Lifted, look: Look): Keepalive {
  if (entry.asking) {
    return whileAsking(entry.own, entry.unanswered, entry.clock, look.seenAt - look.heardAt)
  }
  const wanted = whileUnanswered(entry.own, entry.unanswered, entry.clock)
  // With data under way keepalive rests, and a raised userTimeout would hold for the retransmissions.
  return isUnderWay(look) ? { ...wanted, userTimeout: entry.own.userTimeout } : wanted
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

/** Whether a question is open on this descriptor. */
export function isLifted(core: NativeCore, fd: number): boolean {
  return find(core, fd) !== undefined
}

function find(core: NativeCore, fd: number): Lifted | undefined {
  if (lifted.size === 0) return undefined
  const cookie = core.readCookie(fd)
  return typeof cookie === 'number' ? undefined : lifted.get(cookie)
}

/** A connection's own options: what it has, or has back after the question that is open. */
export function readOwnOptions(core: NativeCore, fd: number): OptionValues {
  const values = readOptions(core, fd)
  const entry = find(core, fd)
  if (!entry) return values
  adopt(entry, values as Keepalive)
  return { ...values, ...(definedOnly(entry.own) as OptionValues) }
}

/** What an open question will put back. */
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
  const entry = find(core, fd)
  if (!entry) {
    apply(core, fd, values)
    return
  }
  const seen = examine(core, [{ fd, cookie: entry.cookie }])[0]!
  if (typeof seen === 'number') throw refusalError(seen, fd)
  adopt(entry, seen.options)
  const changed: Lifted = { ...entry, own: { ...entry.own, ...keepaliveOf(values) } }
  if (values.initialDelay !== undefined || values.enable !== undefined) {
    const { initialDelay } = changed.own
    // Where the silence is longer the kernel asks at once, as it would have without us.
    changed.clock = { due: Math.max(initialDelay, seen.look.seenAt - seen.look.heardAt), initialDelay }
  }
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
  if (refusal < 0) throw refusalError(refusal, fd)
}

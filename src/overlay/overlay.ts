import type { NativeCore } from '../kernel/binding.js'
import { descriptorError, isFailure, isShortErrno, persist } from '../kernel/failure.js'
import {
  type Keepalive,
  type Sample,
  type SampleWithOptions,
  type SocketName,
  sampleWithOptions,
  writeKeepalive,
} from '../kernel/liveness.js'
import { compileOptions, type OptionValues, readOptions, refusalError } from '../kernel/socket-options.js'
import type { TcpInfo } from '../kernel/tcp-info.js'
import { clockFrom, type KeepaliveClock, wholeSeconds } from './clock.js'
import { CookieMap, type Keyed } from './cookie-map.js'
import { type Deferred, plan, type Reasons, whileBeating, withDeferred } from './plan.js'

/**
 * A connection whose options in force differ from those that its owner wants, or are about to. What anybody else writes to the socket counts
 * as the owner's from then on.
 */
export interface Overlay extends Keyed<Overlay>, Reasons {
  /** What the owner wants. */
  own: Keepalive
  /** What the socket has. */
  inForce: Keepalive
  deferred: Deferred | undefined
  clock: KeepaliveClock | undefined
  unanswered: number
  isFiring: boolean
  beating: number | undefined
}

/** One for each connection that has a reason. */
const overlays = new CookieMap<Overlay>()

export function overlayOf(cookie: bigint): Overlay | undefined {
  return overlays.get(cookie)
}

export function overlayCount(): number {
  return overlays.size
}

/** Finds or makes the overlay of a connection that has these options now. */
export function overlayFor(cookie: bigint, options: Keepalive): Overlay {
  const known = overlays.get(cookie)
  if (known) return known
  const overlay: Overlay = {
    cookie,
    nextInBucket: undefined,
    own: options,
    inForce: options,
    deferred: undefined,
    clock: undefined,
    unanswered: 0,
    isFiring: false,
    beating: undefined,
  }
  overlays.add(overlay)
  return overlay
}

/** Ends the reasons of a probe or a heartbeat. The options must be back, or the connection gone. */
export function releaseOverlay(overlay: Overlay): void {
  overlay.clock = undefined
  overlay.unanswered = 0
  overlay.isFiring = false
  overlay.beating = undefined
  if (!overlay.deferred) overlays.delete(overlay)
}

/** Finds the overlay of the connection that a descriptor is. */
export function findOverlay(core: NativeCore, fd: number): Overlay | undefined {
  if (overlays.size === 0) return undefined
  const cookie = core.readCookie(fd)
  return isFailure(cookie) ? undefined : overlays.get(cookie)
}

/** What the owner wants, but for what waits until the peer is heard: what the connection would have in force without probe and heartbeat. */
export function baseOf({ own, deferred }: Overlay): Keepalive {
  return withDeferred(own, deferred)
}

const names = ['enable', 'initialDelay', 'interval', 'count', 'userTimeout'] as const

/** Takes what others have written since for the owner's. */
export function adopt(overlay: Overlay, found: Keepalive): void {
  const { inForce, beating } = overlay
  if (sameKeepalive(found, inForce)) return
  const own: Record<string, unknown> = {}
  for (const name of names) if (found[name] !== inForce[name]) own[name] = found[name]
  // If keepalive was switched on for us, it does not show that it was for them as well; but whoever writes a clock wants it to run.
  const wroteAll = 'interval' in own && 'count' in own
  if (found.enable && (wroteAll || 'initialDelay' in own)) own.enable = true
  // A value that was in force already does not show either.
  if (wroteAll && beating !== undefined) own.initialDelay = found.initialDelay
  forgetDeferred(overlay, own)
  overlay.own = { ...overlay.own, ...own }
  overlay.inForce = found
  if (overlay.clock && own.initialDelay !== undefined) overlay.clock = clockFrom(baseOf(overlay))
}

/** Values of the owner's that wait no longer, since others were written. */
export function forgetDeferred(overlay: Overlay, written: Partial<Keepalive>): void {
  if (!overlay.deferred) return
  const left: Record<string, unknown> = { ...overlay.deferred }
  for (const name of names) if (written[name] !== undefined) delete left[name]
  overlay.deferred = Object.keys(left).length > 0 ? left : undefined
}

export function sameKeepalive(a: Keepalive, b: Keepalive): boolean {
  // Spelled out: this runs for each sample of each probe.
  return (
    a.enable === b.enable &&
    a.initialDelay === b.initialDelay &&
    a.interval === b.interval &&
    a.count === b.count &&
    a.userTimeout === b.userTimeout
  )
}

/** What {@link reconcile} needs of a connection. */
export interface Reconciled extends SocketName {
  readonly overlay: Overlay | undefined
  /** May change the reasons. Returns whether the kernel is to send a probe now. */
  observe(seen: SampleWithOptions): boolean
  /** The socket has these options now. */
  written(options: Keepalive): void
  /** The kernel refused to write, and the socket has what it had. */
  refused(error: Error, wasFiring: boolean): void
  /** The socket could not be read. */
  unread(errno: number): void
}

interface Change<Item> {
  readonly socket: Item
  readonly before: Keepalive
  readonly wanted: Keepalive
}

/**
 * The one step by which options in force change: reads counters and options, adopts what others wrote as the owner's, lets each connection
 * change its reasons, plans, and writes the difference. One native call to read all, and one for each order of writing.
 *
 * @param prepare called with what was read, before any reason changes.
 */
export function reconcile<Item extends Reconciled>(
  core: NativeCore,
  items: readonly Item[],
  prepare?: (seen: readonly (SampleWithOptions | number)[]) => void,
): void {
  const seen = sampleWithOptions(core, items)
  prepare?.(seen)
  const firing: Change<Item>[] = []
  const others: Change<Item>[] = []
  for (const [i, found] of seen.entries()) {
    const socket = items[i]!
    if (typeof found === 'number') {
      socket.unread(found)
      continue
    }
    const { sample, options } = found
    if (socket.overlay) adopt(socket.overlay, options)
    const isToFire = socket.observe(found)
    if (!socket.overlay) continue
    const wanted = plan(socket.overlay.own, socket.overlay, sample)
    if (isToFire) firing.push({ socket, before: options, wanted })
    else if (sameKeepalive(wanted, options)) accept(socket, wanted)
    else others.push({ socket, before: options, wanted })
  }
  write(core, firing, true)
  write(core, others, false)
}

function write<Item extends Reconciled>(
  core: NativeCore,
  changes: readonly Change<Item>[],
  areFiring: boolean,
): void {
  if (changes.length === 0) return
  const refusals = writeKeepalive(core, changes, areFiring)
  for (const [i, { socket, wanted }] of changes.entries()) {
    const refusal = refusals[i]
    if (refusal) socket.refused(refusalError(refusal, socket.fd), areFiring)
    else accept(socket, wanted)
  }
}

function accept(socket: Reconciled, options: Keepalive): void {
  if (socket.overlay) socket.overlay.inForce = options
  socket.written(options)
}

/**
 * Has the kernel probe a connection after each `every` ms of silence. Returns whether it does: not if no options promise that this neither
 * shortens nor lengthens its life, and not while it is probed or has values that wait.
 */
export function startBeating(core: NativeCore, socket: SocketName, every: number): boolean {
  if (overlays.get(socket.cookie)) return false
  const [seen] = sampleWithOptions(core, [socket])
  if (typeof seen !== 'object') return false
  const wanted = whileBeating(seen.options, every)
  if (!wanted) return false
  if (writeKeepalive(core, [{ socket, before: seen.options, wanted }], false)[0]) return false
  const overlay = overlayFor(socket.cookie, seen.options)
  overlay.inForce = wanted
  overlay.beating = every
  return true
}

/** Puts a connection's own options back, unless the descriptor is closed or a probe has taken over. */
export function stopBeating(core: NativeCore, { cookie, fd }: SocketName): void {
  const overlay = overlays.get(cookie)
  if (overlay?.beating !== undefined) putBack(core, overlay, fd)
}

function putBack(core: NativeCore, overlay: Overlay, fd: number): void {
  const socket = { fd, cookie: overlay.cookie }
  const seen = persist(() => sampleWithOptions(core, [socket])[0]!)
  if (typeof seen !== 'number') adopt(overlay, seen.options)
  releaseOverlay(overlay)
  if (typeof seen === 'number') return
  const write = () =>
    writeKeepalive(core, [{ socket, before: seen.options, wanted: baseOf(overlay) }], false)[0]
  let refusal = write()
  if (refusal && isShortErrno(refusal.errno)) refusal = write()
  // These options were taken before: only a sandbox that was put in place since refuses.
  if (refusal) process.emitWarning(refusalError(refusal, fd))
}

/** What the owner wants of a socket: what it has, and has again once nothing differs any more. */
export function readOwnOptions(
  core: NativeCore,
  fd: number,
  overlay: Overlay | undefined = findOverlay(core, fd),
): OptionValues {
  const values = readOptions(core, fd)
  if (!overlay) return values
  adopt(overlay, values as Keepalive)
  return { ...values, ...(definedOnly(overlay.own) as OptionValues) }
}

/** What the owner wants, what the socket has, and those of the former that are not in force; `undefined` if all are. */
export function readProfiles(
  core: NativeCore,
  fd: number,
): { own: OptionValues; inForce: OptionValues; pending: OptionValues | undefined } {
  const inForce = readOptions(core, fd)
  const overlay = findOverlay(core, fd)
  if (!overlay) return { own: inForce, inForce, pending: undefined }
  adopt(overlay, inForce as Keepalive)
  const own: OptionValues = { ...inForce, ...(definedOnly(overlay.own) as OptionValues) }
  const differing = names.filter((name) => own[name] !== inForce[name])
  const pending = Object.fromEntries(differing.map((name) => [name, own[name]]))
  return { own, inForce, pending: differing.length > 0 ? pending : undefined }
}

/** The counters as they would be without our probes. */
export function withoutOurProbes(overlay: Overlay | undefined, info: TcpInfo): TcpInfo {
  return overlay?.unanswered ? { ...info, probes: Math.max(0, info.probes - overlay.unanswered) } : info
}

/**
 * Writes options that the owner wants, all or none. If the connection is being probed, what the probe needs stays in force, and what was
 * written comes into force when it is over. A heartbeat's options go back first.
 *
 * @throws what the kernel refuses.
 */
export function writeOwnOptions(
  core: NativeCore,
  fd: number,
  values: OptionValues,
  overlay: Overlay | undefined = findOverlay(core, fd),
): void {
  if (overlay?.beating !== undefined) {
    putBack(core, overlay, fd)
    overlay = overlays.get(overlay.cookie)
  }
  const written = keepaliveOf(values)
  if (!overlay?.clock) {
    apply(core, fd, values)
    if (!overlay) return
    overlay.own = { ...overlay.own, ...written }
    overlay.inForce = { ...overlay.inForce, ...written }
    forgetDeferred(overlay, written)
    return
  }
  const seen = sampleWithOptions(core, [{ fd, cookie: overlay.cookie }])[0]!
  if (typeof seen === 'number') throw descriptorError(seen, fd)
  adopt(overlay, seen.options)
  const changed: Overlay = { ...overlay, own: { ...overlay.own, ...written } }
  forgetDeferred(changed, written)
  changed.clock = clockWritten(overlay, baseOf(changed), values, seen.sample) ?? overlay.clock
  const wanted = plan(changed.own, changed, seen.sample)
  const writes: OptionValues = { ...values }
  for (const name of names) {
    delete writes[name]
    const fires = name === 'initialDelay' && values[name] !== undefined && !overlay.isFiring
    if (wanted[name] !== overlay.inForce[name] || fires) Object.assign(writes, { [name]: wanted[name] })
  }
  apply(core, fd, definedOnly(writes))
  const { own, deferred, clock } = changed
  Object.assign(overlay, { own, deferred, clock, inForce: wanted })
}

/** Where a connection's own clock stands after its owner has written to it. */
function clockWritten(
  overlay: Overlay,
  base: Keepalive,
  values: OptionValues,
  sample: Sample,
): KeepaliveClock | undefined {
  const silence = sample.sampledAt - sample.heardAt
  const sent = Math.max(0, sample.probes - overlay.unanswered)
  const { initialDelay } = base
  // After a longer silence the kernel probes at once, as it would have without us.
  if (values.initialDelay !== undefined) return { due: Math.max(initialDelay, silence), initialDelay, sent }
  if (!values.enable || overlay.own.enable) return undefined
  const due = silence + initialDelay
  return { due, initialDelay: wholeSeconds(due), sent }
}

function keepaliveOf(values: OptionValues): Partial<Keepalive> {
  const part: Record<string, unknown> = {}
  for (const name of names) if (values[name] !== undefined) part[name] = values[name]
  return part as Partial<Keepalive>
}

function definedOnly<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T
}

function apply(core: NativeCore, fd: number, values: OptionValues): void {
  const refusal = core.apply(fd, compileOptions(core, values))
  if (refusal) throw refusalError(refusal, fd)
}

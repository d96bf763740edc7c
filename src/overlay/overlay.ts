import type { NativeCore } from '../kernel/binding.js'
import { isFailure, isShortErrno, persist } from '../kernel/failure.js'
import {
  type Keepalive,
  type Sample,
  type SampleWithOptions,
  type SocketName,
  sampleWithOptions,
  writeKeepalive,
} from '../kernel/liveness.js'
import { refusalError } from '../kernel/socket-options.js'
import { TcpState } from '../kernel/tcp-info.js'
import { clockAfter, clockFrom, type KeepaliveClock } from './clock.js'
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
  /**
   * The owner has moved the keepalive timer while the kernel was made to probe, so the timer stands where the probe has left it:
   * nine hours away if keepalive was off. TCP_KEEPIDLE must be written again after the probe, also if its value is in force already.
   */
  mustSetTimer: boolean
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
    mustSetTimer: false,
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
  overlay.mustSetTimer = false
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

export const keepaliveNames = ['enable', 'initialDelay', 'interval', 'count', 'userTimeout'] as const

/** Takes what others have written since for the owner's. */
export function adopt(overlay: Overlay, found: Keepalive): void {
  const { inForce, beating } = overlay
  if (sameKeepalive(found, inForce)) return
  const own: Record<string, unknown> = {}
  for (const name of keepaliveNames) if (found[name] !== inForce[name]) own[name] = found[name]
  // If keepalive was switched on for us, it does not show that it was for them as well; but a caller that writes all of a keepalive timer wants it to run.
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
  for (const name of keepaliveNames) if (written[name] !== undefined) delete left[name]
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

/** Whether the options in force, and the keepalive timer, are as they must be. */
export function isInForce(overlay: Overlay, sample: Sample): boolean {
  if (overlay.mustSetTimer && !overlay.isFiring) return false
  return sameKeepalive(overlay.inForce, plan(overlay.own, overlay, sample))
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
  const timers: Change<Item>[] = []
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
    else if (socket.overlay.mustSetTimer && !socket.overlay.isFiring)
      timers.push({ socket, before: options, wanted })
    else if (sameKeepalive(wanted, options)) accept(socket, wanted)
    else others.push({ socket, before: options, wanted })
  }
  write(core, firing, true, true)
  write(core, timers, true, false)
  write(core, others, false, false)
}

/** @param setsTimer writes TCP_KEEPIDLE, last, also if its value does not change. */
function write<Item extends Reconciled>(
  core: NativeCore,
  changes: readonly Change<Item>[],
  setsTimer: boolean,
  areFiring: boolean,
): void {
  if (changes.length === 0) return
  const refusals = writeKeepalive(core, changes, setsTimer)
  for (const [i, { socket, wanted }] of changes.entries()) {
    const refusal = refusals[i]
    if (refusal) socket.refused(refusalError(refusal, socket.fd), areFiring)
    else {
      if (setsTimer && socket.overlay) socket.overlay.mustSetTimer = false
      accept(socket, wanted)
    }
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

/**
 * Puts a connection's own options back, unless the descriptor is closed or a probe has taken over. Returns whether unanswered probes are still
 * counted, as after data that took the kernel's short way: then what these need is in force, until a probe session ends it.
 */
export function stopBeating(core: NativeCore, { cookie, fd }: SocketName): boolean {
  const overlay = overlays.get(cookie)
  return overlay?.beating !== undefined && putBack(core, overlay, fd)
}

/** Puts the own options back. Returns whether unanswered probes are still counted: see {@link stopBeating}. */
export function putBack(core: NativeCore, overlay: Overlay, fd: number): boolean {
  const socket = { fd, cookie: overlay.cookie }
  const seen = persist(() => sampleWithOptions(core, [socket])[0]!)
  if (typeof seen === 'number') {
    releaseOverlay(overlay)
    return false
  }
  adopt(overlay, seen.options)
  endBeating(overlay, seen.sample)
  const wanted = plan(overlay.own, overlay, seen.sample)
  const write = () => writeKeepalive(core, [{ socket, before: seen.options, wanted }], false)[0]
  let refusal = write()
  if (refusal && isShortErrno(refusal.errno)) refusal = write()
  // These options were taken before: only a sandbox that was put in place since refuses.
  if (refusal) process.emitWarning(refusalError(refusal, fd))
  else overlay.inForce = wanted
  if (overlay.clock) return true
  releaseOverlay(overlay)
  return false
}

/**
 * The kernel no longer probes for a heartbeat. Probes that it counts as unanswered stay counted, so they become ours, but for those that the
 * connection's own timer would have sent by now.
 */
export function endBeating(overlay: Overlay, sample: Sample): void {
  overlay.beating = undefined
  const own = baseOf(overlay)
  if (!own.enable || sample.probes === 0 || sample.state !== TcpState.ESTABLISHED) return
  overlay.clock = clockAfter(own, sample.sampledAt - sample.heardAt)
  overlay.unanswered = sample.probes - overlay.clock.sent
}

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
import { sharedState } from '../kernel/shared-state.js'
import { refusalError } from '../kernel/socket-options.js'
import { TcpState } from '../kernel/tcp-info.js'
import { clockAfter, clockFrom, type KeepaliveClock } from './clock.js'
import { CookieMap, type Keyed } from './cookie-map.js'
import { type Deferred, plan, type Reasons, whileBeating, withDeferred } from './plan.js'

/**
 * A connection whose options in force differ, or are about to differ, from those that its owner wants. An option that other code writes to the
 * socket counts as the owner's from then on.
 */
export interface Overlay extends Keyed<Overlay>, Reasons {
  /** The options that the owner wants. */
  own: Keepalive
  /** The options that the socket has. */
  inForce: Keepalive
  deferred: Deferred | undefined
  clock: KeepaliveClock | undefined
  unanswered: number
  isFiring: boolean
  beating: number | undefined
  /**
   * The owner has moved the keepalive timer during a probe, so the timer is set to the probe's interval: nine hours if keepalive was off.
   * After the probe TCP_KEEPIDLE must be written again, even if its value is in force already.
   */
  mustSetTimer: boolean
}

/** All overlays: one for each connection with a reason for other options. */
const overlays = sharedState('overlays', () => new CookieMap<Overlay>())

export function overlayOf(cookie: bigint): Overlay | undefined {
  return overlays().get(cookie)
}

export function overlayCount(): number {
  return overlays().size
}

/** Finds or makes the overlay of a connection that has these options now. */
export function overlayFor(cookie: bigint, options: Keepalive): Overlay {
  const known = overlays().get(cookie)
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
  overlays().add(overlay)
  return overlay
}

/** Ends the reasons of a probe or a heartbeat. Before that, the options must be restored, or the connection must be gone. */
export function releaseOverlay(overlay: Overlay): void {
  overlay.clock = undefined
  overlay.unanswered = 0
  overlay.isFiring = false
  overlay.beating = undefined
  overlay.mustSetTimer = false
  if (!overlay.deferred) overlays().delete(overlay)
}

/** Finds the overlay of a descriptor's connection. */
export function findOverlay(core: NativeCore, fd: number): Overlay | undefined {
  if (overlays().size === 0) return undefined
  const cookie = core.readCookie(fd)
  return isFailure(cookie) ? undefined : overlays().get(cookie)
}

/** The options that would be in force without probe and heartbeat: the owner's, with stand-ins for deferred values. */
export function baseOf({ own, deferred }: Overlay): Keepalive {
  return withDeferred(own, deferred)
}

export const keepaliveNames = ['enable', 'initialDelay', 'interval', 'count', 'userTimeout'] as const

/** Adopts values that other code has written since as the owner's. */
export function adopt(overlay: Overlay, found: Keepalive): void {
  const { inForce, beating } = overlay
  if (sameKeepalive(found, inForce)) return
  const own: Record<string, unknown> = {}
  for (const name of keepaliveNames) if (found[name] !== inForce[name]) own[name] = found[name]
  // If we switched keepalive on, the options do not show whether the other code did too. Code that writes all timer values wants keepalive on.
  const wroteAll = 'interval' in own && 'count' in own
  if (found.enable && (wroteAll || 'initialDelay' in own)) own.enable = true
  // The options do not show either that other code wrote a value that was in force already.
  if (wroteAll && beating !== undefined) own.initialDelay = found.initialDelay
  forgetDeferred(overlay, own)
  overlay.own = { ...overlay.own, ...own }
  overlay.inForce = found
  if (overlay.clock && own.initialDelay !== undefined) overlay.clock = clockFrom(baseOf(overlay))
}

/** Drops the deferred values of fields that other code has written since. */
export function forgetDeferred(overlay: Overlay, written: Partial<Keepalive>): void {
  if (!overlay.deferred) return
  const left: Record<string, unknown> = { ...overlay.deferred }
  for (const name of keepaliveNames) if (written[name] !== undefined) delete left[name]
  overlay.deferred = Object.keys(left).length > 0 ? left : undefined
}

export function sameKeepalive(a: Keepalive, b: Keepalive): boolean {
  // Not a loop, for speed: this runs for each sample of each probe.
  return (
    a.enable === b.enable &&
    a.initialDelay === b.initialDelay &&
    a.interval === b.interval &&
    a.count === b.count &&
    a.userTimeout === b.userTimeout
  )
}

/** Whether the options in force and the keepalive timer are as planned. */
export function isInForce(overlay: Overlay, sample: Sample): boolean {
  if (overlay.mustSetTimer && !overlay.isFiring) return false
  return sameKeepalive(overlay.inForce, plan(overlay.own, overlay, sample))
}

/** What {@link reconcile} needs from a connection. */
export interface Reconciled extends SocketName {
  readonly overlay: Overlay | undefined
  /** May change the reasons. Returns whether the kernel must send a probe now. */
  observe(seen: SampleWithOptions): boolean
  /** Called with the options that the socket has now. */
  written(options: Keepalive): void
  /** Called if the kernel refused a write; the socket's options are unchanged. */
  refused(error: Error, wasFiring: boolean): void
  /** Called if the socket could not be read. */
  unread(errno: number): void
}

interface Change<Item> {
  readonly socket: Item
  readonly before: Keepalive
  readonly wanted: Keepalive
}

/**
 * The only step that changes options in force. It reads counters and options, adopts values that other code wrote as the owner's, lets each
 * connection change its reasons, plans, and writes the difference. It makes one native call to read all, and one for each order of writing.
 *
 * @param prepare called with the samples, before any reason changes.
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

/** @param setsTimer writes TCP_KEEPIDLE last, even if its value does not change. */
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
 * Makes the kernel probe a connection each time the peer was not heard for `every` ms. Returns false, and changes nothing, if no options
 * guarantee the connection's lifetime ({@link whileBeating}), if it is being probed, or if it has deferred values.
 */
export function startBeating(core: NativeCore, socket: SocketName, every: number): boolean {
  if (overlays().get(socket.cookie)) return false
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
 * Restores a connection's own options, unless the descriptor is closed or a probe has taken over. Returns whether the kernel still counts
 * unanswered probes, as after data on its fast path. Then options that compensate for these probes are in force, until a probe session ends.
 */
export function stopBeating(core: NativeCore, { cookie, fd }: SocketName): boolean {
  const overlay = overlays().get(cookie)
  return overlay?.beating !== undefined && putBack(core, overlay, fd)
}

/** Restores the own options. Returns whether the kernel still counts unanswered probes; see {@link stopBeating}. */
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
  // The kernel accepted these options before. Only a sandbox installed since then makes it refuse.
  if (refusal) process.emitWarning(refusalError(refusal, fd))
  else overlay.inForce = wanted
  if (overlay.clock) return true
  releaseOverlay(overlay)
  return false
}

/**
 * Ends the heartbeat's probes by the kernel. Unanswered probes stay counted, so they now count as ours, except those that the connection's own
 * timer would have sent by now.
 */
export function endBeating(overlay: Overlay, sample: Sample): void {
  overlay.beating = undefined
  const own = baseOf(overlay)
  if (!own.enable || sample.probes === 0 || sample.state !== TcpState.ESTABLISHED) return
  overlay.clock = clockAfter(own, sample.sampledAt - sample.heardAt)
  overlay.unanswered = sample.probes - overlay.clock.sent
}

import { DeadpeerError } from '../errors.js'
import type { NativeCore } from '../kernel/binding.js'
import { descriptorError, isFailure, isShortage, isShortErrno, persist } from '../kernel/failure.js'
import type { Keepalive, SocketName } from '../kernel/liveness.js'
import type { OptionValues } from '../kernel/socket-options.js'
import { readTcpInfo, type TcpInfo, TcpState } from '../kernel/tcp-info.js'
import type { Profile } from '../profile/profile.js'
import { type Deferral, deferral, fires } from './deferral.js'
import { findOverlay, type Overlay, overlayFor, overlayOf, releaseOverlay } from './overlay.js'
import { readOwnOptions, withoutOurProbes, writeOwnOptions } from './own-options.js'
import { mayFire, paceWindow } from './probe-rate.js'

/** A connection with values that wait until its peer is heard, and when it is sampled again. */
interface Retry {
  readonly cookie: bigint
  readonly fd: number
  /** When, on performance.now(), and the wait that led there; ms. */
  due: number
  wait: number
}

/** By cookie. */
const retries = new Map<bigint, Retry>()
let timer: NodeJS.Timeout | undefined
let timerDue = Number.POSITIVE_INFINITY

const FIRST_WAIT = 20
const LONGEST_WAIT = 1_000

/**
 * Writes what is safe now and defers the rest until the peer is heard. Returns what is deferred. All of `wanted` is tried against the socket
 * before this returns, so a refusal is thrown here and later there is none.
 *
 * @param hasTurn the caller has waited for its turn to let a probe leave.
 */
export function applyOrDefer(core: NativeCore, fd: number, wanted: Profile, hasTurn = false): Profile {
  const overlay = findOverlay(core, fd)
  const own = readOwnOptions(core, fd, overlay)
  // Repeating a tune must not give an unresponsive peer another set of probes each time.
  if (isWithin(wanted, own)) return deferredOf(overlay)
  return divideAndWrite(core, fd, wanted, { own, overlay }, hasTurn)
}

function divideAndWrite(
  core: NativeCore,
  fd: number,
  wanted: Profile,
  { own, overlay }: { own: OptionValues; overlay: Overlay | undefined },
  hasTurn: boolean,
): Profile {
  const pending = deferredOf(overlay)
  const current: OptionValues = { ...own, ...overlay?.deferred }
  const info = withoutOurProbes(overlay, readTcpInfo(core, fd))
  const { now, later } = divide({ ...pending, ...wanted }, current, info)
  // Likewise if the settings change: the probes granted first are all there are.
  if (pending.count !== undefined && later.count !== undefined) now.count = current.count!
  if (fires(now, current, info) && !hasTurn && !mayFire()) {
    later.initialDelay = now.initialDelay!
    delete now.initialDelay
  }
  // Before anything is written: without a cookie nothing can be deferred.
  const cookie = cookieFor(core, fd, later)
  writeOwnOptions(core, fd, now, overlay)
  defer(core, { fd, cookie }, { ...current, ...now }, later)
  return later
}

function isWithin(wanted: Profile, known: Profile): boolean {
  return Object.entries(wanted).every(([name, value]) => known[name as keyof Profile] === value)
}

/** A connection that has ended can take no harm. */
function divide(wanted: Profile, current: Profile, info: TcpInfo): Deferral {
  return info.state === TcpState.CLOSE ? { now: { ...wanted }, later: {} } : deferral(wanted, current, info)
}

/**
 * The same for a connection of another process, for which nothing can be deferred: writes all of it, or throws `ERR_MUST_WAIT` with what would
 * have to wait, having written nothing.
 */
export function applyOrRefuse(core: NativeCore, fd: number, wanted: Profile, hasTurn = false): Profile {
  const { own, current, info } = stateOf(core, fd)
  if (isWithin(wanted, own) && isWithin(wanted, current)) return {}
  refuseWhatMustWait(wanted, current, info)
  if (fires(wanted, current, info) && !hasTurn && !mayFire()) {
    throw mustWait({ initialDelay: wanted.initialDelay! }, 'would send a probe, and too many leave just now')
  }
  writeOwnOptions(core, fd, wanted)
  return {}
}

/**
 * Whether {@link applyOrRefuse}, given its turn, would write this now.
 *
 * @throws what it would throw before it writes.
 */
export function rehearseOrRefuse(core: NativeCore, fd: number, wanted: Profile): void {
  const { current, info } = stateOf(core, fd)
  if (!isWithin(wanted, current)) refuseWhatMustWait(wanted, current, info)
}

/** What the owner wants, what the socket would have without probes, and its counters. */
function stateOf(core: NativeCore, fd: number): { own: OptionValues; current: OptionValues; info: TcpInfo } {
  const overlay = findOverlay(core, fd)
  const own = readOwnOptions(core, fd, overlay)
  return {
    own,
    current: { ...own, ...overlay?.deferred },
    info: withoutOurProbes(overlay, readTcpInfo(core, fd)),
  }
}

function refuseWhatMustWait(wanted: Profile, current: Profile, info: TcpInfo): void {
  const { later } = divide(wanted, current, info)
  if (Object.keys(later).length === 0) return
  throw mustWait(later, 'could end this connection as it is: its peer must be heard first')
}

function mustWait(pending: Profile, why: string): DeadpeerError {
  const fields = Object.keys(pending).join(' and ')
  return new DeadpeerError(
    'ERR_MUST_WAIT',
    `${fields} ${why}. On a socket of another process nothing can wait. Nothing was changed. ` +
      `Use tuneAll, which waits for the peer; or leave out ${fields} now and set it next.`,
    { pending },
  )
}

/** The owner's values that wait until the peer is heard. */
export function deferredOf(overlay: Overlay | undefined): Profile {
  const values: Profile = {}
  if (!overlay?.deferred) return values
  for (const name of Object.keys(overlay.deferred) as (keyof Keepalive)[]) {
    Object.assign(values, { [name]: overlay.own[name] })
  }
  return values
}

/** Nothing is deferred any more. */
function finish(overlay: Overlay): void {
  if (overlay.deferred) return
  retries.delete(overlay.cookie)
  if (!overlay.clock && overlay.beating === undefined) releaseOverlay(overlay)
}

/** Whose values are to be deferred: 0 if there are none. */
function cookieFor(core: NativeCore, fd: number, values: Profile): bigint {
  if (Object.keys(values).length === 0) return 0n
  const cookie = core.readCookie(fd)
  if (isFailure(cookie)) throw descriptorError(cookie.errno, fd)
  return cookie
}

/** @param inForce what the socket would have without probes. */
function defer(core: NativeCore, { fd, cookie }: SocketName, inForce: OptionValues, later: Profile): void {
  const names = Object.keys(later) as (keyof Keepalive)[]
  if (names.length === 0) {
    const overlay = findOverlay(core, fd)
    if (overlay) finish(overlay)
    return
  }
  const overlay = overlayFor(cookie, keepaliveOf(inForce))
  const own = { ...overlay.own, ...later } as Keepalive
  const deferred = Object.fromEntries(names.map((name) => [name, inForce[name]]))
  Object.assign(overlay, { own, deferred })
  const wait = later.initialDelay === undefined ? FIRST_WAIT : paceWindow
  const due = performance.now() + wait
  retries.set(cookie, { cookie, fd, due, wait })
  schedule(core, due)
}

function keepaliveOf({ enable, initialDelay, interval, count, userTimeout }: OptionValues): Keepalive {
  return {
    enable: enable!,
    initialDelay: initialDelay!,
    interval: interval!,
    count: count!,
    userTimeout,
  }
}

/** One timer for all. It does not hold the process: when that ends, so do its connections. */
function schedule(core: NativeCore, due: number): void {
  if (due >= timerDue) return
  clearTimeout(timer)
  timerDue = due
  timer = setTimeout(() => retryDue(core), Math.max(1, due - performance.now()))
  timer.unref()
}

/** How long one turn of the event loop may take, ms; and more if the program keeps it busy, as a share of how late the turn is. */
const BUDGET = 2
const SHARE_OF_LATENESS = 1 / 8

function retryDue(core: NativeCore): void {
  const now = performance.now()
  const budget = Math.max(BUDGET, (now - timerDue) * SHARE_OF_LATENESS)
  timerDue = Number.POSITIVE_INFINITY
  for (const each of retries.values()) {
    if (each.due > now) continue
    if (performance.now() - now > budget) break
    // Back at the end if it has to wait on, so that each has a turn.
    retries.delete(each.cookie)
    const overlay = overlayOf(each.cookie)
    if (overlay?.deferred) retryOne(core, each, overlay, now)
    else if (overlay) finish(overlay)
  }
  let next = Number.POSITIVE_INFINITY
  for (const { due } of retries.values()) next = Math.min(next, due)
  if (next < Number.POSITIVE_INFINITY) schedule(core, next)
}

function retryOne(core: NativeCore, each: Retry, overlay: Overlay, now: number): void {
  if (!isStill(core, each)) {
    overlay.deferred = undefined
    finish(overlay)
    return
  }
  const pending = deferredOf(overlay)
  if (pending.initialDelay !== undefined && !mayFire()) {
    retryAt(each, now + paceWindow)
    return
  }
  try {
    if (pending.initialDelay !== undefined) {
      const own = readOwnOptions(core, each.fd, overlay)
      divideAndWrite(core, each.fd, pending, { own, overlay }, true)
    } else retryAll(core, each, overlay, pending, now)
  } catch (error) {
    // All of it was taken when it was first tried. So a refusal is a shortage, after which it is tried again; or a sandbox has been put in
    // place since, or another thread has closed the socket.
    if (isShortage(error as Error)) retryAt(each, now + LONGEST_WAIT)
    else {
      overlay.deferred = undefined
      finish(overlay)
      process.emitWarning(error as Error)
    }
  }
}

/** All of them or none: an unresponsive peer must not be given more probes at every retry. */
function retryAll(core: NativeCore, each: Retry, overlay: Overlay, pending: Profile, now: number): void {
  const info = withoutOurProbes(overlay, readTcpInfo(core, each.fd))
  const own = readOwnOptions(core, each.fd, overlay)
  const { later } = divide(pending, { ...own, ...overlay.deferred }, info)
  if (Object.keys(later).length > 0) {
    each.wait = Math.min(LONGEST_WAIT, each.wait * 2)
    retryAt(each, now + each.wait)
    return
  }
  writeOwnOptions(core, each.fd, pending, overlay)
  finish(overlay)
}

function retryAt(each: Retry, due: number): void {
  each.due = due
  retries.set(each.cookie, each)
}

/** Whether a descriptor is still the socket whose values wait. If that cannot be read just now, it is assumed. */
function isStill(core: NativeCore, { fd, cookie }: Retry): boolean {
  const now = persist(() => core.readCookie(fd))
  return now === cookie || (isFailure(now) && isShortErrno(now.errno))
}

import { DeadpeerError } from '../errors.js'
import type { NativeCore } from '../kernel/binding.js'
import { descriptorError, isFailure, isShortage, isShortErrno, persist } from '../kernel/failure.js'
import type { Keepalive, SocketName } from '../kernel/liveness.js'
import { sharedState } from '../kernel/shared-state.js'
import type { OptionValues } from '../kernel/socket-options.js'
import { readTcpInfo, type TcpInfo, TcpState } from '../kernel/tcp-info.js'
import type { Profile } from '../profile/profile.js'
import { type Deferral, deferral, fires } from './deferral.js'
import { findOverlay, type Overlay, overlayFor, overlayOf, releaseOverlay } from './overlay.js'
import { readOwnOptions, withoutOurProbes, writeOwnOptions } from './own-options.js'
import { mayFire, paceWindow } from './probe-rate.js'

/** A connection with deferred values, and the time of its next sample. */
interface Retry {
  readonly cookie: bigint
  readonly fd: number
  /** `due`: when to sample next, on performance.now(). `wait`: the wait before that, ms. */
  due: number
  wait: number
}

/** By cookie. */
const retries = sharedState('retries', () => new Map<bigint, Retry>())
let timer: NodeJS.Timeout | undefined
let timerDue = Number.POSITIVE_INFINITY

const FIRST_WAIT = 20
const LONGEST_WAIT = 1_000

/**
 * Writes the safe values now and defers the others until the peer is heard. Returns the deferred values. All of `wanted` is tried on the socket
 * before this returns, so a refusal is thrown here and not later.
 *
 * @param hasTurn the caller has already waited for the probe rate limit.
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
  // A tune with other values must not do so either: the peer gets no more probes than the first deferral allowed.
  if (pending.count !== undefined && later.count !== undefined) now.count = current.count!
  if (fires(now, current, info) && !hasTurn && !mayFire()) {
    later.initialDelay = now.initialDelay!
    delete now.initialDelay
  }
  // Read the cookie before the first write: without it no value can be deferred.
  const cookie = cookieFor(core, fd, later)
  writeOwnOptions(core, fd, now, overlay)
  defer(core, { fd, cookie }, { ...current, ...now }, later)
  return later
}

function isWithin(wanted: Profile, known: Profile): boolean {
  return Object.entries(wanted).every(([name, value]) => known[name as keyof Profile] === value)
}

/** Divides `wanted` into values for now and later. For a connection that has ended, all values are safe. */
function divide(wanted: Profile, current: Profile, info: TcpInfo): Deferral {
  return info.state === TcpState.CLOSE ? { now: { ...wanted }, later: {} } : deferral(wanted, current, info)
}

/**
 * Like {@link applyOrDefer}, for a connection of another process, for which no value can be deferred. If a value would have to be deferred, it writes
 * none and throws `ERR_MUST_WAIT` with those values.
 */
export function applyOrRefuse(core: NativeCore, fd: number, wanted: Profile, hasTurn = false): Profile {
  const { own, current, info } = stateOf(core, fd)
  if (isWithin(wanted, own) && isWithin(wanted, current)) return {}
  refuseWhatMustWait(wanted, current, info)
  if (fires(wanted, current, info) && !hasTurn && !mayFire()) {
    throw mustWait(
      { initialDelay: wanted.initialDelay! },
      'would make the kernel send a probe, but the probe rate limit is reached',
    )
  }
  writeOwnOptions(core, fd, wanted)
  return {}
}

/**
 * Checks that {@link applyOrRefuse} would write the values now if the probe rate limit allowed it.
 *
 * @throws the error that it would throw before it writes.
 */
export function rehearseOrRefuse(core: NativeCore, fd: number, wanted: Profile): void {
  const { current, info } = stateOf(core, fd)
  if (!isWithin(wanted, current)) refuseWhatMustWait(wanted, current, info)
}

/** `own`: what the owner wants. `current`: what would be in force without probes. `info`: the counters without our probes. */
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
  throw mustWait(later, 'could end this connection now, before its peer is heard')
}

function mustWait(pending: Profile, why: string): DeadpeerError {
  const fields = Object.keys(pending).join(' and ')
  return new DeadpeerError(
    'ERR_MUST_WAIT',
    `${fields} ${why}. Options cannot be deferred on another process's socket. Nothing was changed. ` +
      `Use tuneAll, which waits for the peer, or leave out ${fields} now and set it later.`,
    { pending },
  )
}

/** The owner's values that are deferred until the peer is heard. */
export function deferredOf(overlay: Overlay | undefined): Profile {
  const values: Profile = {}
  if (!overlay?.deferred) return values
  for (const name of Object.keys(overlay.deferred) as (keyof Keepalive)[]) {
    Object.assign(values, { [name]: overlay.own[name] })
  }
  return values
}

/** Stops the retries of a connection that has no deferred values left. */
function finish(overlay: Overlay): void {
  if (overlay.deferred) return
  retries().delete(overlay.cookie)
  if (!overlay.clock && overlay.beating === undefined) releaseOverlay(overlay)
}

/** The cookie of the connection whose values will be deferred; 0 if there are no values. */
function cookieFor(core: NativeCore, fd: number, values: Profile): bigint {
  if (Object.keys(values).length === 0) return 0n
  const cookie = core.readCookie(fd)
  if (isFailure(cookie)) throw descriptorError(cookie.errno, fd)
  return cookie
}

/** @param inForce the options that would be in force without probes. */
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
  retries().set(cookie, { cookie, fd, due, wait })
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

/** Schedules the next retries. One timer serves all, and it does not hold the process open: the connections end with the process. */
function schedule(core: NativeCore, due: number): void {
  if (due >= timerDue) return
  clearTimeout(timer)
  timerDue = due
  timer = setTimeout(() => retryDue(core), Math.max(1, due - performance.now()))
  timer.unref()
}

/** BUDGET: how long one turn of the event loop may take, ms. If the program keeps the loop busy, it may take SHARE_OF_LATENESS of the delay. */
const BUDGET = 2
const SHARE_OF_LATENESS = 1 / 8

function retryDue(core: NativeCore): void {
  const now = performance.now()
  const budget = Math.max(BUDGET, (now - timerDue) * SHARE_OF_LATENESS)
  timerDue = Number.POSITIVE_INFINITY
  for (const each of retries().values()) {
    if (each.due > now) continue
    if (performance.now() - now > budget) break
    // A connection that must wait longer goes to the end of the list, so that every connection is retried.
    retries().delete(each.cookie)
    const overlay = overlayOf(each.cookie)
    if (overlay?.deferred) retryOne(core, each, overlay, now)
    else if (overlay) finish(overlay)
  }
  let next = Number.POSITIVE_INFINITY
  for (const { due } of retries().values()) next = Math.min(next, due)
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
    // The kernel accepted all values at the first try. If a resource has run out, the write is tried again. Otherwise a sandbox was installed since,
    // or another thread has closed the socket.
    if (isShortage(error as Error)) retryAt(each, now + LONGEST_WAIT)
    else {
      overlay.deferred = undefined
      finish(overlay)
      process.emitWarning(error as Error)
    }
  }
}

/** Writes all deferred values or none, so that an unresponsive peer does not get more probes at every retry. */
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
  retries().set(each.cookie, each)
}

/** Whether the descriptor still belongs to the socket with the deferred values. Returns true if a lack of resources prevents the check. */
function isStill(core: NativeCore, { fd, cookie }: Retry): boolean {
  const now = persist(() => core.readCookie(fd))
  return now === cookie || (isFailure(now) && isShortErrno(now.errno))
}

import { DeadpeerError } from '../errors.js'
import type { NativeCore } from '../kernel/binding.js'
import { descriptorError, isFailure, isShortage, isShortErrno, persist } from '../kernel/failure.js'
import { readTcpInfo, type TcpInfo, TcpState } from '../kernel/tcp-info.js'
import type { Profile } from '../profile/profile.js'
import { fires, holdBack } from './hold-back.js'
import { readOwnOptions, withoutOurProbes, writeOwnOptions } from './lifted.js'
import { mayFire, paceWindow } from './probe-rate.js'

/** A connection with values still to be written, once they cannot end it. */
interface Unsettled {
  readonly cookie: bigint
  readonly values: Profile
  /** When to look again, and the wait that led there; ms. */
  readonly due: number
  readonly wait: number
}

/** By descriptor; the cookie tells whether it is still the same socket. */
const unsettled = new Map<number, Unsettled>()
let timer: NodeJS.Timeout | undefined
let nextLook = Number.POSITIVE_INFINITY

const FIRST_WAIT = 20
const LONGEST_WAIT = 1_000

/**
 * Applies what is safe now and keeps the rest until it is. Returns what is kept. All of `wanted` is tried
 * against the socket before this returns, so a refusal is thrown here and later there is none.
 *
 * @param hasTurn the caller has waited for its turn to let a probe leave.
 */
export function applyAndSettle(core: NativeCore, fd: number, wanted: Profile, hasTurn = false): Profile {
  const pending = pendingOf(core, fd)
  const current = readOwnOptions(core, fd)
  // Said again, it must not give a silent peer another set of probes each time.
  if (isWithin(wanted, { ...current, ...pending })) return pending
  const info = readUnprobed(core, fd)
  const { now, later } = divide({ ...pending, ...wanted }, current, info)
  // Likewise where the settings change: the probes granted first are all there are.
  if (pending.count !== undefined && later.count !== undefined) now.count = current.count!
  if (fires(now, current, info) && !hasTurn && !mayFire()) {
    later.initialDelay = now.initialDelay!
    delete now.initialDelay
  }
  // Before anything is written: without it nothing can be kept.
  const cookie = cookieFor(core, fd, later)
  writeOwnOptions(core, fd, now)
  keep(core, fd, cookie, later)
  return later
}

function isWithin(wanted: Profile, known: Profile): boolean {
  return Object.entries(wanted).every(([name, value]) => known[name as keyof Profile] === value)
}

/** A connection that has ended can take no harm. */
function divide(wanted: Profile, current: Profile, info: TcpInfo): { now: Profile; later: Profile } {
  return info.state === TcpState.CLOSE ? { now: wanted, later: {} } : holdBack(wanted, current, info)
}

/**
 * The same for a connection that is somebody else's, where nothing can be kept for later: applies all of it, or throws
 * `ERR_MUST_WAIT` with what would have to wait, having written nothing.
 */
export function applyOrRefuse(core: NativeCore, fd: number, wanted: Profile, hasTurn = false): Profile {
  const current = readOwnOptions(core, fd)
  if (isWithin(wanted, current)) return {}
  const info = readUnprobed(core, fd)
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
  const current = readOwnOptions(core, fd)
  if (!isWithin(wanted, current)) refuseWhatMustWait(wanted, current, readUnprobed(core, fd))
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
    `${fields} ${why}, and for another process's socket nothing is kept for later. Nothing was changed. ` +
      `tuneAll takes the time; or leave out ${fields} now, and set that next.`,
    { pending },
  )
}

/** Values that wait to be written to this socket. */
export function pendingOf(core: NativeCore, fd: number): Profile {
  if (unsettled.size === 0) return {}
  const entry = unsettled.get(fd)
  if (!entry) return {}
  if (isStill(core, fd, entry)) return entry.values
  unsettled.delete(fd)
  return {}
}

/** Whether a descriptor is still the socket whose values wait. If that cannot be read just now, it is assumed. */
function isStill(core: NativeCore, fd: number, { cookie }: Unsettled): boolean {
  const now = persist(() => core.readCookie(fd))
  return now === cookie || (isFailure(now) && isShortErrno(now.errno))
}

/** Values just written by hand replace those that waited. */
export function supersede(core: NativeCore, fd: number, written: Profile): void {
  if (unsettled.size === 0) return
  const left = { ...pendingOf(core, fd) }
  for (const name of Object.keys(written) as (keyof Profile)[]) delete left[name]
  const entry = unsettled.get(fd)
  if (entry) keep(core, fd, entry.cookie, left)
}

/** The counters, but for the probes of a question that is open: those are no trouble of the connection's own. */
function readUnprobed(core: NativeCore, fd: number): TcpInfo {
  return withoutOurProbes(core, fd, readTcpInfo(core, fd))
}

/** Whose values are to be kept: 0 where there are none. */
function cookieFor(core: NativeCore, fd: number, values: Profile): bigint {
  if (Object.keys(values).length === 0) return 0n
  const cookie = core.readCookie(fd)
  if (isFailure(cookie)) throw descriptorError(cookie.errno, fd)
  return cookie
}

function keep(core: NativeCore, fd: number, cookie: bigint, values: Profile): void {
  if (Object.keys(values).length === 0) {
    unsettled.delete(fd)
    return
  }
  const wait = values.initialDelay === undefined ? FIRST_WAIT : paceWindow
  const due = performance.now() + wait
  unsettled.set(fd, { cookie, values, due, wait })
  schedule(core, due)
}

/** One timer for all. It does not hold the process: where that ends, so do its connections. */
function schedule(core: NativeCore, due: number): void {
  if (due >= nextLook) return
  clearTimeout(timer)
  nextLook = due
  timer = setTimeout(() => lookAgain(core), Math.max(1, due - performance.now()))
  timer.unref()
}

/** A look takes about 5 µs: so many leave the event loop free again after a millisecond. */
const LOOKS_AT_A_TIME = 200

function lookAgain(core: NativeCore): void {
  nextLook = Number.POSITIVE_INFINITY
  const now = performance.now()
  let looks = 0
  for (const [fd, entry] of unsettled) {
    if (entry.due > now || ++looks > LOOKS_AT_A_TIME) continue
    // Put back at the end where it has to wait on, so that everybody has a turn.
    unsettled.delete(fd)
    if (isStill(core, fd, entry)) settle(core, fd, entry, now)
  }
  let next = Number.POSITIVE_INFINITY
  for (const { due } of unsettled.values()) next = Math.min(next, due)
  if (next < Number.POSITIVE_INFINITY) schedule(core, next)
}

function settle(core: NativeCore, fd: number, entry: Unsettled, now: number): void {
  if (entry.values.initialDelay !== undefined) {
    if (mayFire()) attempt(fd, entry, now, () => void applyAndSettle(core, fd, entry.values, true))
    else unsettled.set(fd, { ...entry, due: now + paceWindow })
    return
  }
  attempt(fd, entry, now, () => {
    // All of them or none: a peer that stays silent must not be given more probes at every look.
    const info = readUnprobed(core, fd)
    const { later } = divide(entry.values, readOwnOptions(core, fd), info)
    if (Object.keys(later).length === 0) return writeOwnOptions(core, fd, entry.values)
    const wait = Math.min(LONGEST_WAIT, entry.wait * 2)
    unsettled.set(fd, { ...entry, wait, due: now + wait })
  })
}

/**
 * All of it was taken when it was first tried. So a refusal is a shortage, after which it is tried again; or a sandbox has been put in place
 * since, or another thread has closed the socket.
 */
function attempt(fd: number, entry: Unsettled, now: number, run: () => void): void {
  try {
    run()
  } catch (error) {
    if (isShortage(error as Error)) unsettled.set(fd, { ...entry, due: now + LONGEST_WAIT })
    else process.emitWarning(error as Error)
  }
}

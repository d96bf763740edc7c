import { DeadpeerError } from '../errors.js'
import type { NativeCore } from '../kernel/binding.js'
import { compileOptions, readOptions, refusalError } from '../kernel/options.js'
import { readTcpInfo } from '../kernel/tcp-info.js'
import { fires, type HoldBack, holdBack } from './hold-back.js'
import { mayFire, paceWindow } from './pace.js'
import type { Profile } from './profile.js'

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

const FIRST_WAIT = 20
const LONGEST_WAIT = 1_000

/** TCP_CLOSE, in tcp_info: the kernel has given the connection up. */
const CLOSE = 7

/**
 * Applies what is safe now and keeps the rest until it is. Returns what is kept. All of `wanted` is tried
 * against the socket before this returns, so a refusal is thrown here and later there is none.
 *
 * @param pacedAlready the caller has waited for its turn to let a probe leave.
 */
export function applyAndSettle(core: NativeCore, fd: number, wanted: Profile, pacedAlready = false): Profile {
  const before = pendingOf(core, fd)
  const all = { ...before, ...wanted }
  const current = readOptions(core, fd)
  const info = readTcpInfo(core, fd)
  const { now, later }: HoldBack =
    info.state === CLOSE ? { now: all, later: {} } : holdBack(all, current, info)
  if (fires(now, current, info) && !pacedAlready && !mayFire()) {
    later.initialDelay = now.initialDelay!
    delete now.initialDelay
  }
  apply(core, fd, now)
  keep(core, fd, later)
  return later
}

/**
 * The same for a connection that is somebody else's, where nothing can be kept for later: applies all of it, or throws
 * `ERR_MUST_WAIT` with what would have to wait, having written nothing.
 */
export function applyOrRefuse(core: NativeCore, fd: number, wanted: Profile, pacedAlready = false): Profile {
  const current = readOptions(core, fd)
  const info = readTcpInfo(core, fd)
  const { later } = info.state === CLOSE ? { later: {} } : holdBack(wanted, current, info)
  if (Object.keys(later).length > 0)
    throw mustWait(later, 'could end this connection as it is: its peer must be heard first')
  if (fires(wanted, current, info) && !pacedAlready && !mayFire()) {
    throw mustWait({ initialDelay: wanted.initialDelay! }, 'would send a probe, and too many leave just now')
  }
  apply(core, fd, wanted)
  return {}
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
  if (core.readCookie(fd) === entry.cookie) return entry.values
  unsettled.delete(fd)
  return {}
}

/** Values just written by hand replace those that waited. */
export function supersede(core: NativeCore, fd: number, written: Profile): void {
  if (unsettled.size === 0) return
  const left = { ...pendingOf(core, fd) }
  for (const name of Object.keys(written) as (keyof Profile)[]) delete left[name]
  if (unsettled.has(fd)) keep(core, fd, left)
}

function apply(core: NativeCore, fd: number, values: Profile): void {
  const refusal = core.apply(fd, compileOptions(core, values))
  if (refusal < 0) throw refusalError(refusal, fd)
}

function keep(core: NativeCore, fd: number, values: Profile): void {
  if (Object.keys(values).length === 0) {
    unsettled.delete(fd)
    return
  }
  const cookie = core.readCookie(fd)
  if (typeof cookie === 'number') throw refusalError(cookie, fd)
  const wait = values.initialDelay === undefined ? FIRST_WAIT : paceWindow
  unsettled.set(fd, { cookie, values, due: performance.now() + wait, wait })
  schedule(core)
}

/** One timer for all. It does not hold the process: where that ends, so do its connections. */
function schedule(core: NativeCore): void {
  if (timer || unsettled.size === 0) return
  let next = Number.POSITIVE_INFINITY
  for (const { due } of unsettled.values()) next = Math.min(next, due)
  timer = setTimeout(
    () => {
      timer = undefined
      lookAgain(core)
      schedule(core)
    },
    Math.max(1, next - performance.now()),
  )
  timer.unref()
}

/** A look takes about 5 µs: so many leave the event loop free again after a millisecond. */
const LOOKS_AT_A_TIME = 200

function lookAgain(core: NativeCore): void {
  const now = performance.now()
  let looks = 0
  for (const [fd, entry] of unsettled) {
    if (entry.due > now) continue
    if (++looks > LOOKS_AT_A_TIME) return
    // Put back at the end, so that everybody has a turn.
    unsettled.delete(fd)
    if (core.readCookie(fd) !== entry.cookie) continue
    const waitsForTurn = entry.values.initialDelay !== undefined
    if (waitsForTurn && !mayFire()) {
      unsettled.set(fd, { ...entry, due: now + paceWindow })
      continue
    }
    settle(core, fd, entry, waitsForTurn)
  }
}

function settle(core: NativeCore, fd: number, entry: Unsettled, hasTurn: boolean): void {
  try {
    if (hasTurn || isHarmless(core, fd, entry.values)) {
      applyAndSettle(core, fd, entry.values, hasTurn)
      return
    }
  } catch (error) {
    // All of it was taken when it was first tried: only a socket closed by another thread gets here.
    process.emitWarning(error as Error)
    return
  }
  const wait = Math.min(LONGEST_WAIT, entry.wait * 2)
  unsettled.set(fd, { ...entry, wait, due: performance.now() + wait })
}

/** A peer that stays silent must not be given more probes at every look, so it is all of them or none. */
function isHarmless(core: NativeCore, fd: number, values: Profile): boolean {
  const info = readTcpInfo(core, fd)
  if (info.state === CLOSE) return true
  const { later } = holdBack(values, readOptions(core, fd), info)
  return Object.keys(later).length === 0
}

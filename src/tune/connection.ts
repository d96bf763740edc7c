import net from 'node:net'
import { BorrowedSocket } from '../connection/borrowed.js'
import { whenConnecting } from '../connection/connecting.js'
import { noteExplicitProfile } from '../connection/explicit-profile.js'
import { notATarget } from '../connection/not-a-target.js'
import { findRecordOfHandle, recordOfHandle } from '../connection/record.js'
import {
  checkDescriptor,
  descriptorOf,
  type Handle,
  handleOf,
  mayConnect,
  noDescriptor,
  type OwnTarget,
  type Target,
} from '../connection/target.js'
import { DeadpeerError } from '../errors.js'
import type { NotTuned } from '../kernel/binding.js'
import { canSetNow, type OptionName, refusalError } from '../kernel/socket-options.js'
import { applyOrDefer, applyOrRefuse } from '../overlay/apply-or-defer.js'
import { findOverlay } from '../overlay/overlay.js'
import { type Compiled, merge, without } from '../profile/compile.js'
import type { Profile } from '../profile/profile.js'
import { tuneHolder } from './holder.js'

/** The result of {@link tuneAll} for one target. If it has none of these properties, all options are set. */
export interface TuneResult {
  /** The reason why no option was set. */
  readonly error?: Error
  /**
   * Values that are deferred: until the peer is heard, because they could end the connection now; or until the target is connected. For a
   * borrowed socket whose peer was not heard within 2 s: the values that were left out.
   */
  readonly pending?: Profile
  /** The options that `bestEffort` left out. */
  readonly skipped?: readonly OptionName[]
}

export const DONE: TuneResult = Object.freeze({})

/** Tunes one connection. `hasTurn`: the caller has already waited for the probe rate limit. */
export function tuneTarget(target: Target, compiled: Compiled, hasTurn = false): TuneResult {
  if (target instanceof BorrowedSocket) return tuneBorrowed(target, compiled, hasTurn)
  if (typeof target === 'number') return tuneDescriptor(checkDescriptor(target), compiled, undefined, hasTurn)
  if (!(target instanceof net.Socket)) return tuneHeld(target, compiled, hasTurn)
  return tuneSocket(target, compiled, hasTurn)
}

/** Tunes a request, a WebSocket, or another object that has a connection or will get one. */
function tuneHeld(target: Exclude<OwnTarget, number>, compiled: Compiled, hasTurn: boolean): TuneResult {
  if (typeof target !== 'object' || target === null) throw notATarget(target)
  let result: TuneResult = { pending: compiled.profile }
  tuneHolder(target, compiled, {
    connection: (socket, tuning) => {
      result = tuneSocket(socket, tuning, hasTurn)
      noteExplicitProfile(socket, tuning.profile)
    },
    merge,
  })
  return result
}

function tuneSocket(socket: net.Socket, compiled: Compiled, hasTurn: boolean): TuneResult {
  if (mayConnect(socket)) {
    whenConnecting(socket, (fd) => tuneDescriptor(fd, compiled))
    return { pending: compiled.profile }
  }
  const fd = descriptorOf(socket)
  if (fd < 0) throw noDescriptor(socket)
  return tuneDescriptor(fd, compiled, handleOf(socket), hasTurn)
}

/** Tunes a connection of another process. Its descriptor is closed at once, so no value can be deferred. */
export function tuneBorrowed(target: BorrowedSocket, compiled: Compiled, hasTurn: boolean): TuneResult {
  return target.use((fd) => tuneDescriptor(fd, compiled, undefined, hasTurn, applyOrRefuse))
}

const held: NotTuned = { held: true, refusal: undefined }

export function tuneDescriptor(
  fd: number,
  compiled: Compiled,
  handle?: Handle,
  hasTurn = false,
  write = applyOrDefer,
): TuneResult {
  const { core, native, profile, skipped } = compiled
  // If the options in force are not the owner's, `write` goes through overlay/ instead of one native call.
  const tuned = findOverlay(core, fd) ? held : core.tune(fd, native, lastHeard(handle))
  if (typeof tuned === 'number') return succeeded(compiled, handle, tuned)
  try {
    if (tuned.refusal) throw refusalError(tuned.refusal, fd)
    const pending = write(core, fd, profile, hasTurn)
    forgetTimer(compiled, handle)
    return {
      ...(Object.keys(pending).length > 0 && { pending }),
      ...(skipped.length > 0 && { skipped }),
    }
  } catch (error) {
    const field = optionToLeaveOut(compiled, error)
    if (field === undefined) throw error
    return tuneDescriptor(fd, without(compiled, field), handle, hasTurn, write)
  }
}

export function succeeded(compiled: Compiled, handle: Handle | undefined, heardAt: number): TuneResult {
  if (handle && !Number.isNaN(heardAt)) recordOfHandle(handle).heardAt = heardAt
  forgetTimer(compiled, handle)
  return compiled.skipped.length > 0 ? { skipped: compiled.skipped } : DONE
}

/**
 * Notes that the keepalive timer is no longer known. If TCP_KEEPIDLE is not written, switching keepalive on restarts the timer. A new interval does
 * not move a timer that is set to the old one.
 */
function forgetTimer({ profile }: Compiled, handle: Handle | undefined): void {
  const { enable, initialDelay, interval } = profile
  if (initialDelay !== undefined || (enable === undefined && interval === undefined)) return
  const record = findRecordOfHandle(handle)
  if (record) record.isTimerKnown = false
}

/** The refused option, if `bestEffort` leaves it out. */
function optionToLeaveOut({ optional, profile }: Compiled, error: unknown): OptionName | undefined {
  if (!(error instanceof DeadpeerError)) return undefined
  const field = error.field as OptionName | undefined
  if (field === undefined || !optional.has(field) || !(field in profile)) return undefined
  // MPTCP sockets lack options that this process can set on other sockets. An option that is forbidden on this connection only is an error.
  return error.code === 'ERR_UNSUPPORTED_OPTION' || !canSetNow(field) ? field : undefined
}

/** When the peer was last heard, as far as known; -Infinity if not known. */
export function lastHeard(handle: Handle | undefined): number {
  return findRecordOfHandle(handle)?.heardAt ?? Number.NEGATIVE_INFINITY
}

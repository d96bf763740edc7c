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

/** What became of one target of {@link tuneAll}. All empty: everything is set. */
export interface TuneResult {
  /** Why nothing of it was set. */
  readonly error?: Error
  /**
   * What waits until the peer has been heard, since it could end the connection as it is; or until it is connected. Of
   * a borrowed socket, whose peer was not heard in time: what was left out.
   */
  readonly pending?: Profile
  /** What was left out by `bestEffort`. */
  readonly skipped?: readonly OptionName[]
}

export const DONE: TuneResult = Object.freeze({})

/** Tunes one connection. With `hasTurn` the caller has waited for its turn to let a probe leave. */
export function tuneTarget(target: Target, compiled: Compiled, hasTurn = false): TuneResult {
  if (target instanceof BorrowedSocket) return tuneBorrowed(target, compiled, hasTurn)
  if (typeof target === 'number') return tuneDescriptor(checkDescriptor(target), compiled, undefined, hasTurn)
  if (!(target instanceof net.Socket)) return tuneHeld(target, compiled, hasTurn)
  return tuneSocket(target, compiled, hasTurn)
}

/** A request, a WebSocket, and whatever else has a connection, or will have. */
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

/** Nothing can wait for another process's socket, which is given back at once. */
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
  // The options in force are not the owner's: overlay/ writes.
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
 * Without TCP_KEEPIDLE, keepalive that is switched on starts its timer anew, and a timer that stands at the interval stays there, whatever
 * the interval is from now on.
 */
function forgetTimer({ profile }: Compiled, handle: Handle | undefined): void {
  const { enable, initialDelay, interval } = profile
  if (initialDelay !== undefined || (enable === undefined && interval === undefined)) return
  const record = findRecordOfHandle(handle)
  if (record) record.isTimerKnown = false
}

/** The refused option, where `bestEffort` does without it. */
function optionToLeaveOut({ optional, profile }: Compiled, error: unknown): OptionName | undefined {
  if (!(error instanceof DeadpeerError)) return undefined
  const field = error.field as OptionName | undefined
  if (field === undefined || !optional.has(field) || !(field in profile)) return undefined
  // MPTCP sockets do not have all that this process can set on others. What is forbidden on this connection only stays an error.
  return error.code === 'ERR_UNSUPPORTED_OPTION' || !canSetNow(field) ? field : undefined
}

/** When the peer is known to have been heard; -Infinity if it is not known. */
export function lastHeard(handle: Handle | undefined): number {
  return findRecordOfHandle(handle)?.heardAt ?? Number.NEGATIVE_INFINITY
}

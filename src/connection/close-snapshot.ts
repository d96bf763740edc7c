import type { NativeCore } from '../kernel/binding.js'
import { takeSocketError } from '../kernel/failure.js'
import { readOptions } from '../kernel/socket-options.js'
import { encodePlace, isGivenUp, ownLayout, readTcpInfo, type TcpInfo, TcpState } from '../kernel/tcp-info.js'
import type { Profile } from '../profile/profile.js'

/** The counters and options of a connection at its end. */
export interface FinalState {
  readonly info: TcpInfo
  readonly profile: Profile
}

/** The kernel's state of a connection right before Node closed its descriptor. */
export interface CloseSnapshot {
  /** `tcpi_state`; NaN if it could not be read. */
  readonly state: number
  /** `tcpi_bytes_acked`; NaN if it could not be read or the kernel does not count it. */
  readonly bytesAcked: number
  /**
   * The name of the error in `SO_ERROR`, if the connection had ended and Node closed it without an error. Absent if there was none, or if
   * Node had read it before.
   */
  readonly errno?: string | undefined
  /** Read only if Node closed the socket with an error, or the peer had not answered. */
  readonly final?: FinalState | undefined
}

/** The options and counters of a socket whose descriptor is open. */
export function readFinalState(core: NativeCore, fd: number): FinalState | undefined {
  try {
    return { info: readTcpInfo(core, fd), profile: readOptions(core, fd) }
  } catch {
    // Other code closed the descriptor. Only the error's code is known then.
    return undefined
  }
}

/**
 * Takes the snapshot of a connection whose descriptor is still open. Most connections close without an error, and then it is one native call.
 *
 * @param hasError whether Node closes it with an error. Node has read that error from the socket already.
 */
export function takeCloseSnapshot(core: NativeCore, fd: number, hasError: boolean): CloseSnapshot {
  const { state, probes, retransmits, bytesAcked } = sample(core, fd)
  if (state !== TcpState.CLOSE && !hasError) return { state, bytesAcked }
  const errno = hasError ? undefined : takeSocketError(core, fd)
  const isInDoubt = hasError || isGivenUp({ state, probes, retransmits }) || errno !== undefined
  return { state, bytesAcked, errno, final: isInDoubt ? readFinalState(core, fd) : undefined }
}

const fields = ['state', 'probes', 'retransmits', 'bytesAcked'] as const
type Sample = Record<(typeof fields)[number], number>

const one = new Int32Array(1)
const row = new Float64Array(fields.length)

/** Reads the counters that the snapshot needs; NaN if they cannot be read. */
function sample(core: NativeCore, fd: number): Sample {
  one[0] = fd
  core.sampleTcpInfo(one, 1, places(), row)
  return { state: row[0]!, probes: row[1]!, retransmits: row[2]!, bytesAcked: row[3]! }
}

let encoded: Uint32Array | undefined

function places(): Uint32Array {
  encoded ??= Uint32Array.from(fields.flatMap((field) => encodePlace(ownLayout()[field])))
  return encoded
}

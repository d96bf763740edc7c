import type net from 'node:net'
import type { ConnectionRecord } from '../connection/record.js'
import { describeErrno, PeerDeathError } from '../errors.js'
import { sharedState } from '../kernel/shared-state.js'
import { isGivenUp, TcpState } from '../kernel/tcp-info.js'
import { tryOr } from '../options/try-or.js'
import { type FoundDeath, foundDeath, isDeadly, isOver, isReset, isTimeout } from './cause.js'

// Decides, when Node closes a watched socket, whether the peer is dead or the connection has ended in an orderly way.

/** What a watcher knows about the connection when Node closes it. */
export interface ConnectionState {
  readonly socket: net.Socket
  readonly record: ConnectionRecord
  /** Whether the kernel reports the connection's end. That requires a connected socket and the native core. */
  readonly isWatchedByKernel: boolean
  /** Whether the kernel reported a reset that Node was about to find too. */
  readonly isLeftToNode: boolean
  /** Whether the peer has closed its side. */
  readonly hasPeerEnded: boolean
}

/** The socket to which an error belongs. Piped streams are destroyed with each other's errors. */
const socketOfError = sharedState('socketOfError', () => new WeakMap<Error, net.Socket>())

/** Notes which socket an error belongs to, so that no other socket counts as dead because of it. */
export function claimError(error: Error, socket: net.Socket): void {
  socketOfError().set(error, socket)
}

/** The death that a socket's error shows; `undefined` if it shows none. */
export function deathByError(connection: ConnectionState, error: unknown): FoundDeath | undefined {
  const { socket } = connection
  // A program may emit any value as 'error'.
  if (!(error instanceof Error)) return undefined
  const owner = socketOfError().get(error)
  if (error instanceof PeerDeathError) {
    // Another watcher has found the death.
    const detectedBy = error.reason === 'heartbeat' ? 'heartbeat' : 'kernel'
    return owner === socket ? { detectedBy, error } : undefined
  }
  // The error's getters may throw.
  const errno = tryOr(() => deadlyErrno(error), undefined)
  if (errno === undefined || (owner && owner !== socket)) return undefined
  const final = connection.record.closeSnapshot?.final
  if (final && !isOver(final, errno)) return undefined
  claimError(error, socket)
  if (isReset(errno) && haveBothEnded(connection)) return undefined
  return foundDeath('node', final, errno, error)
}

/** The death of a connection that Node closed without an error; `undefined` after an orderly close. */
export function deathWithoutError(connection: ConnectionState): FoundDeath | undefined {
  if (!hasDied(connection)) return undefined
  const { errno, final } = connection.record.closeSnapshot ?? {}
  return foundDeath('node', final, errno ?? (connection.isLeftToNode ? 'ECONNRESET' : undefined))
}

function hasDied(connection: ConnectionState): boolean {
  // A connection attempt that failed is not a death.
  if (!connection.isWatchedByKernel) return false
  const { state, errno, final } = connection.record.closeSnapshot ?? {}
  if (errno !== undefined) return isTimeout(errno)
  if (haveBothEnded(connection)) return false
  if (final && isGivenUp(final.info)) return true
  // Node took the error and reported it on the TLSSocket over this one.
  return connection.isLeftToNode && !connection.hasPeerEnded && state === TcpState.CLOSE
}

function haveBothEnded({ hasPeerEnded, socket }: ConnectionState): boolean {
  return hasPeerEnded && socket.writableEnded
}

/** The errno, if the error is the kernel's own and ends an established connection. Errors with the same code that programs make do not count. */
function deadlyErrno({ errno, syscall }: NodeJS.ErrnoException): string | undefined {
  if (errno === undefined || !(syscall === 'read' || syscall === 'write' || syscall === 'shutdown')) {
    return undefined
  }
  const { name } = describeErrno(errno)
  return isDeadly(name) ? name : undefined
}

import net from 'node:net'
import { BorrowedSocket } from '../connection/borrowed.js'
import { isClosedHolder } from '../connection/holder.js'
import { findRecordOfHandle, recordOfHandle } from '../connection/record.js'
import {
  checkDescriptor,
  descriptorOf,
  type Handle,
  handleOf,
  mayConnect,
  noDescriptorOf,
  notConnected,
  socketOf,
  type Target,
} from '../connection/target.js'
import { errorFrom } from '../connection/unreadable.js'
import { DeadpeerError, InvalidTypeError } from '../errors.js'
import type { NativeCore } from '../kernel/binding.js'
import { descriptorError } from '../kernel/failure.js'
import { type Identity, identify } from '../kernel/liveness.js'
import { TcpState } from '../kernel/tcp-info.js'

/** A connection to probe, and where to find its descriptor for each step. */
export interface Subject {
  readonly cookie: bigint
  /** An open handle always stands for the same connection. */
  readonly handle?: Handle | undefined
  readonly fd?: number | undefined
  readonly borrowed?: BorrowedSocket
}

/** What was found for a target: `undefined` for a closed connection, an error for a target that cannot be probed. */
export type Found = Subject | Error | undefined

/** Finds the connections of targets, in order. */
export function subjectsOf(core: NativeCore, targets: readonly Target[]): Found[] {
  const found = targets.map((target) => orError(() => subjectOf(core, target)))
  const unnamed = found.filter(isUnnamed)
  const named = nameAll(core, unnamed)
  return found.map((subject) => (isUnnamed(subject) ? named.get(subject) : subject))
}

type Unnamed = Omit<Subject, 'cookie'>

function isUnnamed(subject: Found | Unnamed): subject is Unnamed {
  return subject !== undefined && !(subject instanceof Error) && !('cookie' in subject)
}

function nameAll(core: NativeCore, subjects: readonly Unnamed[]): Map<Unnamed, Found> {
  const named = new Map<Unnamed, Found>()
  if (subjects.length === 0) return named
  const identities = identify(core, subjects.map(descriptorNow))
  for (const [i, identity] of identities.entries()) {
    const unnamed = subjects[i]!
    named.set(
      unnamed,
      orError(() => nameOne(unnamed, identity)),
    )
  }
  return named
}

function nameOne({ handle, fd }: Unnamed, identity: Identity | number): Subject | undefined {
  if (typeof identity === 'number') {
    const error = descriptorError(identity, fd)
    if ('code' in error && error.code === 'ERR_SOCKET_CLOSED') return undefined
    throw error
  }
  requireConnected(identity.state)
  const { cookie } = identity
  if (handle) recordOfHandle(handle).cookie = cookie
  return { handle, fd, cookie }
}

function orError<T>(run: () => T): T | Error {
  try {
    return run()
  } catch (error) {
    return errorFrom(error)
  }
}

function subjectOf(core: NativeCore, target: Target): Subject | Unnamed | undefined {
  if (target instanceof BorrowedSocket) return borrowAgain(core, target)
  if (typeof target === 'number') return { fd: checkDescriptor(target) }
  if (!(target instanceof net.Socket) && isClosedHolder(target)) return undefined
  const socket = socketOf(target)
  const handle = handleOf(socket)
  if (handle && descriptorOf(socket) >= 0) {
    const cookie = findRecordOfHandle(handle)?.cookie
    return cookie === undefined ? { handle } : { handle, cookie }
  }
  if (socket.destroyed && !mayConnect(socket)) return undefined
  throw noDescriptorOf(target, socket)
}

/** Refuses listeners and connection attempts. A connection that has ended passes, and gets the result `closed`. */
function requireConnected(state: number): void {
  if (state === TcpState.LISTEN) {
    throw new InvalidTypeError(
      'The target is a listening socket and has no peer to probe. Pass one of its connections.',
      { field: 'target' },
    )
  }
  if (state === TcpState.SYN_SENT || state === TcpState.SYN_RECV) throw notConnected()
}

/** Makes a second BorrowedSocket, because the caller may close its own before the options are restored. */
function borrowAgain(core: NativeCore, target: BorrowedSocket): Subject | undefined {
  try {
    target.use((fd) => {
      const [identity] = identify(core, [fd])
      if (typeof identity === 'object') requireConnected(identity.state)
    })
    const borrowed = new BorrowedSocket(core, target.pid, target.fd)
    return borrowed.cookie === target.cookie ? { borrowed, cookie: borrowed.cookie } : undefined
  } catch (error) {
    if (error instanceof DeadpeerError && error.code === 'ERR_SOCKET_CLOSED') return undefined
    throw error
  }
}

/** The descriptor, or -1 if it is closed. The kernel treats -1 as a closed descriptor. */
export function descriptorNow({ fd, handle }: Unnamed): number {
  return fd ?? handle?.fd ?? -1
}

/** The native core returns ESTALE if the descriptor's number now belongs to another socket. */
export function isClosed(error: Error): boolean {
  return 'code' in error && (error.code === 'ERR_SOCKET_CLOSED' || error.code === 'ESTALE')
}

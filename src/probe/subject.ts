import { DeadpeerError, InvalidTypeError } from '../errors.js'
import type { NativeCore } from '../kernel/binding.js'
import { identify } from '../kernel/liveness.js'
import { descriptorError } from '../kernel/options.js'
import { TcpState } from '../kernel/tcp-info.js'
import { BorrowedSocket } from '../socket/borrowed.js'
import {
  checkDescriptor,
  descriptorOf,
  type Handle,
  handleOf,
  mayConnect,
  noDescriptor,
  notConnected,
  socketOf,
  type Target,
} from '../socket/target.js'

/** A connection to be asked: where its descriptor is found each time that it is needed. */
export interface Subject {
  readonly cookie: bigint
  /** A handle stands for one connection for as long as it is open. */
  readonly handle?: Handle | undefined
  readonly fd?: number
  readonly borrowed?: BorrowedSocket
}

/**
 * What targets stand for; `undefined` for one that is closed.
 *
 * @throws for what is no connection, or not yet.
 */
export function subjectsOf(core: NativeCore, targets: readonly Target[]): (Subject | undefined)[] {
  const unnamed = targets.map((target) => withoutCookie(core, target))
  const identities = identify(core, unnamed.map(descriptorNow))
  return unnamed.map((subject, i) => {
    if (subject === undefined) return undefined
    if (subject.borrowed) return { ...subject, cookie: subject.borrowed.cookie }
    const identity = identities[i]!
    if (typeof identity !== 'number') {
      requireConnected(identity.state)
      return { ...subject, cookie: identity.cookie }
    }
    const error = descriptorError(identity, subject.fd)
    if ('code' in error && error.code === 'ERR_SOCKET_CLOSED') return undefined
    throw error
  })
}

function withoutCookie(core: NativeCore, target: Target): Omit<Subject, 'cookie'> | undefined {
  if (target instanceof BorrowedSocket) return borrowAgain(core, target)
  if (typeof target === 'number') return { fd: checkDescriptor(target) }
  const socket = socketOf(target)
  const handle = handleOf(socket)
  if (handle && descriptorOf(socket) >= 0) return { handle }
  if (socket.destroyed && !mayConnect(socket)) return undefined
  throw noDescriptor(socket)
}

/** A connection that has ended is one that is answered for. */
function requireConnected(state: number): void {
  if (state === TcpState.LISTEN) {
    throw new InvalidTypeError('The target is listening: there is no peer to be asked.', { field: 'target' })
  }
  if (state === TcpState.SYN_SENT || state === TcpState.SYN_RECV) throw notConnected()
}

/** A handle of our own for it: the caller may close its one while options are still to go back. */
function borrowAgain(core: NativeCore, target: BorrowedSocket): Omit<Subject, 'cookie'> | undefined {
  try {
    target.use((fd) => {
      const [identity] = identify(core, [fd])
      if (typeof identity === 'object') requireConnected(identity.state)
    })
    const borrowed = new BorrowedSocket(core, target.pid, target.fd)
    return borrowed.cookie === target.cookie ? { borrowed } : undefined
  } catch (error) {
    if (error instanceof DeadpeerError && error.code === 'ERR_SOCKET_CLOSED') return undefined
    throw error
  }
}

/** -1 where there is none any more, which the kernel answers like any closed one. */
export function descriptorNow(subject: Omit<Subject, 'cookie'> | undefined): number {
  return subject?.fd ?? subject?.handle?.fd ?? -1
}

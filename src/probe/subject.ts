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
  readonly fd?: number | undefined
  readonly borrowed?: BorrowedSocket
}

/** What a handle stands for is known once it has been asked about, and does not change. */
const known = Symbol('deadpeer.subject')

type Known = Handle & { [known]?: Subject }

/**
 * What targets stand for; `undefined` for one that is closed.
 *
 * @throws for what is no connection, or not yet.
 */
export function subjectsOf(core: NativeCore, targets: readonly Target[]): (Subject | undefined)[] {
  const found = targets.map((target) => subjectOf(core, target))
  const unnamed = found.filter(isUnnamed)
  const named = nameAll(core, unnamed)
  return found.map((subject) => (isUnnamed(subject) ? named.get(subject) : subject))
}

type Unnamed = Omit<Subject, 'cookie'>

function isUnnamed(subject: Subject | Unnamed | undefined): subject is Unnamed {
  return subject !== undefined && !('cookie' in subject)
}

function nameAll(core: NativeCore, subjects: readonly Unnamed[]): Map<Unnamed, Subject> {
  const named = new Map<Unnamed, Subject>()
  const identities = identify(core, subjects.map(descriptorNow))
  for (const [i, identity] of identities.entries()) {
    const { handle, fd } = subjects[i]!
    if (typeof identity === 'number') {
      const error = descriptorError(identity, fd)
      if ('code' in error && error.code === 'ERR_SOCKET_CLOSED') continue
      throw error
    }
    requireConnected(identity.state)
    const subject = { handle, fd, cookie: identity.cookie }
    if (handle) (handle as Known)[known] = subject
    named.set(subjects[i]!, subject)
  }
  return named
}

function subjectOf(core: NativeCore, target: Target): Subject | Unnamed | undefined {
  if (target instanceof BorrowedSocket) return borrowAgain(core, target)
  if (typeof target === 'number') return { fd: checkDescriptor(target) }
  const socket = socketOf(target)
  const handle = handleOf(socket)
  if (handle && descriptorOf(socket) >= 0) return (handle as Known)[known] ?? { handle }
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

/** -1 where there is none any more, which the kernel answers like any closed one. */
export function descriptorNow({ fd, handle }: Unnamed): number {
  return fd ?? handle?.fd ?? -1
}

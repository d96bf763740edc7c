import { opendirSync, readFileSync, readlinkSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Prefix, SocketFilter } from '../../host/filter.js'
import {
  type BorrowedSocket,
  borrowSocket,
  listSockets,
  readSocketOwners,
  type SocketOwner,
  type SocketRecord,
  type SocketState,
} from '../../host/index.js'
import { DeadpeerError, OutOfRangeError } from '../../index.js'
import { Slice } from '../../kernel/slice.js'
import { type Judged, judgeRecord } from './judge-record.js'
import { mustEnterAsRoot, orNsenter } from './network-namespace.js'
import { nothingMatched } from './nothing-matched.js'
import type { Progress } from './progress.js'
import { Misuse } from './usage.js'

/** The connections that a command is about. A field that is left out selects any. */
export interface Selection {
  /** Connections of this process, in its network namespace. Without it: connections in this network namespace. */
  readonly pid?: number | undefined
  /** The port of either end. */
  readonly port?: number | undefined
  /** The address of either end. */
  readonly prefix?: Prefix | undefined
}

export interface Connection extends Judged {
  readonly record: SocketRecord
  /** The processes that have it open and that this user may see; the selected process first. */
  readonly owners: readonly SocketOwner[]
}

/** The states that `ss -t` lists: all but listen, syn-recv and time-wait. */
export const connectionStates: readonly SocketState[] = [
  'established',
  'syn-sent',
  'fin-wait-1',
  'fin-wait-2',
  'close-wait',
  'last-ack',
  'closing',
]

/**
 * Lists the selected connections, in the network namespace of `pid` if that is given.
 *
 * @throws {@link Misuse} if there is no such process, or this user may not see its descriptors.
 */
export async function selectConnections(
  { pid, port, prefix }: Selection,
  states: readonly SocketState[],
  signal: AbortSignal,
): Promise<Connection[]> {
  if (pid !== undefined) checkProcess(pid)
  const records = await listRecords({ pid, port, prefix }, { states, info: true, signal })
  const owners = await readSocketOwners(records.map(({ inode }) => inode))
  const first = (a: SocketOwner, b: SocketOwner) => Number(b.pid === pid) - Number(a.pid === pid)
  return records
    .map((record) => ({
      record,
      owners: (owners.get(record.inode ?? -1) ?? []).sort(first),
      ...judgeRecord(record),
    }))
    .filter((connection) => pid === undefined || connection.owners[0]?.pid === pid)
}

interface Query {
  readonly states: readonly SocketState[]
  readonly info: boolean
  readonly signal: AbortSignal
}

/** Lists the sockets of all processes in the network namespace of `pid`, or in this one, that have the port and the prefix at either end. */
export async function listRecords(
  { pid, port, prefix }: Selection,
  { states, ...rest }: Query,
): Promise<SocketRecord[]> {
  const list = (filter: SocketFilter) =>
    orNsenter(pid, () => listSockets({ ...rest, pid, ...filter })).catch(inArgumentNames)
  // States and ports are filtered here, because a list that the kernel filters must be read twice to be complete.
  const lists =
    prefix === undefined
      ? [await list({})]
      : // A filter of the kernel applies to one end, so each end requires its own list.
        [await list({ local: prefix }), await list({ remote: prefix })]
  const wanted = new Set(states)
  const records: SocketRecord[] = []
  const slice = new Slice()
  for (const list of lists) {
    for (const record of list) {
      if (slice.isOver) await slice.next()
      if (wanted.has(record.state) && (port === undefined || hasPort(record, port))) records.push(record)
    }
  }
  return lists.length === 1
    ? records
    : [...new Map(records.map((record) => [record.cookie, record])).values()]
}

/** The library names its field `local`; the command line calls it <prefix>. */
function inArgumentNames(error: unknown): never {
  if (!(error instanceof OutOfRangeError && error.field === 'local')) throw error
  throw new Misuse(
    error.message
      .replace(/^local must/, '<prefix> must')
      .replace('prefix length of local', 'length of <prefix>'),
  )
}

function hasPort({ local, remote }: SocketRecord, port: number): boolean {
  return local.port === port || remote.port === port
}

/** @throws {@link Misuse} if this user may not see the descriptors of a process. */
export function checkProcess(pid: number): void {
  try {
    // The same user may list the descriptors; reading their links takes ptrace permission.
    const fd = firstEntry(`/proc/${pid}/fd`)
    if (fd !== undefined) readlinkSync(`/proc/${pid}/fd/${fd}`)
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException
    // The descriptor was closed in the meantime.
    if (code === 'ENOENT' && syscall !== 'opendir') return
    if (code === 'ENOENT' || code === 'ESRCH') throw new Misuse(`there is no process ${pid}`)
    throw (
      mustEnterAsRoot(pid) ??
      new Misuse(
        `not permitted to see the descriptors of process ${pid} (${userOf(pid)}${code}): run as that user or with CAP_SYS_PTRACE (sudo)`,
      )
    )
  }
}

function firstEntry(folder: string): string | undefined {
  const directory = opendirSync(folder, { bufferSize: 1 })
  try {
    return directory.readSync()?.name
  } finally {
    directory.closeSync()
  }
}

function userOf(pid: number): string {
  try {
    const [, uid] = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return uid === undefined ? '' : `uid ${uid}, `
  } catch {
    return ''
  }
}

/** Borrows a connection from its first owner, and checks by its cookie that it is the one that was listed. */
export function borrow({ record, owners }: Pick<Connection, 'record' | 'owners'>): BorrowedSocket {
  const [owner] = owners
  if (!owner) throw ownerNotVisible({ record })
  const socket = borrowSocket(owner.pid, owner.fd)
  if (socket.cookie === record.cookie) return socket
  throw new DeadpeerError(
    'ERR_SOCKET_CLOSED',
    `Process ${owner.pid} has closed the connection in the meantime.`,
  )
}

/** The error for a connection without a visible owner, which cannot be borrowed. */
export function ownerNotVisible({ record: { inode, uid } }: Pick<Connection, 'record'>): DeadpeerError {
  return new DeadpeerError(
    'EPERM',
    inode === undefined
      ? 'No process has the connection open any more.'
      : `Not permitted to see the owning process${uid === undefined ? '' : ` (uid ${uid})`}: run as that user or with CAP_SYS_PTRACE (sudo).`,
  )
}

/** A connection that this process has borrowed. */
export interface Reached {
  readonly connection: Connection
  readonly socket: BorrowedSocket
}

export interface Reach {
  readonly reached: Reached[]
  /** Connections that this user may not borrow. */
  readonly refused: { readonly connection: Connection; readonly error: DeadpeerError }[]
}

/** The number of connections between two checks of the signal. */
const SLICE = 128

/** Borrows all connections that this user may borrow. Leaves out those that were closed in the meantime. */
async function reach(
  connections: readonly Connection[],
  progress: Progress,
  signal: AbortSignal,
): Promise<Reach> {
  const found: Reach = { reached: [], refused: [] }
  for (const [i, connection] of connections.entries()) {
    if (i % SLICE === SLICE - 1) {
      progress.say('borrowing connections', i, connections.length)
      await nextTurn()
      signal.throwIfAborted()
    }
    try {
      found.reached.push({ connection, socket: borrow(connection) })
    } catch (error) {
      if (isGone(error)) continue
      if (!(error instanceof DeadpeerError)) throw error
      found.refused.push({ connection, error })
    }
  }
  return found
}

/**
 * Borrows all connections that this user may borrow, at least one.
 *
 * @throws {@link Misuse} if there are none, or this user may borrow none.
 */
export async function mustReach(
  connections: readonly Connection[],
  selection: Selection,
  progress: Progress,
  signal: AbortSignal,
): Promise<Reach> {
  const found = await reach(connections, progress, signal)
  if (found.reached.length > 0) return found
  throw new Misuse(found.refused[0]?.error.message ?? nothingMatched(selection, 'established TCP connection'))
}

/** Whether an error says that the process, or its descriptor, does not exist any more. */
export function isGone(error: unknown): boolean {
  return (
    error instanceof DeadpeerError &&
    ['ERR_SOCKET_CLOSED', 'ERR_NOT_TCP', 'EBADF', 'ESRCH'].includes(error.code)
  )
}

/** Refuses an empty selection, so that a typing error does not change or probe all connections of a host. */
export function mustSelect({ pid, port, prefix }: Selection): void {
  if ((pid ?? port ?? prefix) !== undefined) return
  throw new Misuse('select connections by --pid, --port or a prefix (0.0.0.0/0 and ::/0 select all)')
}

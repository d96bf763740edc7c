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
import { DeadpeerError } from '../../index.js'
import { Slice } from '../../kernel/slice.js'
import { type Judged, judgeRecord } from './judge-record.js'
import { mustEnterAsRoot, orNsenter } from './network-namespace.js'
import { nothingMatched } from './nothing-matched.js'
import type { Progress } from './progress.js'
import { Misuse } from './usage.js'

/** Which connections a command is about. What is left out does not matter. */
export interface Selection {
  /** Of this process, in whatever network namespace that is. Without it: of this network namespace. */
  readonly pid?: number | undefined
  /** Of either end. */
  readonly port?: number | undefined
  /** Of either end. */
  readonly prefix?: Prefix | undefined
}

export interface Connection extends Judged {
  readonly record: SocketRecord
  /** Who has it open, as far as one may see; the process that was asked for first. */
  readonly owners: readonly SocketOwner[]
}

/** States of a connection that is more than a memory: what `ss -t` lists. */
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
 * The host's connections that are meant: of the network namespace of `pid`, where that is given.
 *
 * @throws {@link Misuse} for a process that there is not, or whose descriptors one may not see.
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

/** The sockets of the network namespace of `pid`, or of this one, that have the port and the prefix at either end: of all processes. */
export async function listRecords(
  { pid, port, prefix }: Selection,
  { states, ...rest }: Query,
): Promise<SocketRecord[]> {
  const list = (filter: SocketFilter) => orNsenter(pid, () => listSockets({ ...rest, pid, ...filter }))
  // States and ports are looked at here: a list that the kernel filters is made twice, so that none is missing.
  const lists =
    prefix === undefined
      ? [await list({})]
      : // The kernel looks for both ends at once only.
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

function hasPort({ local, remote }: SocketRecord, port: number): boolean {
  return local.port === port || remote.port === port
}

/** Whether one may see what a process has open. */
export function checkProcess(pid: number): void {
  try {
    // Whose user it is may list the descriptors; where they lead takes what ptrace does.
    const fd = firstEntry(`/proc/${pid}/fd`)
    if (fd !== undefined) readlinkSync(`/proc/${pid}/fd/${fd}`)
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException
    // That descriptor was closed meanwhile.
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

/** Borrows a connection from whoever has it open, and makes sure that it is the one that was listed. */
export function borrow({ record, owners }: Pick<Connection, 'record' | 'owners'>): BorrowedSocket {
  const [owner] = owners
  if (!owner) throw notYours({ record })
  const socket = borrowSocket(owner.pid, owner.fd)
  if (socket.cookie === record.cookie) return socket
  throw new DeadpeerError('ERR_SOCKET_CLOSED', `Process ${owner.pid} has closed it meanwhile.`)
}

/** Why a connection that nobody is seen to have open cannot be borrowed. */
export function notYours({ record: { inode, uid } }: Pick<Connection, 'record'>): DeadpeerError {
  return new DeadpeerError(
    'EPERM',
    inode === undefined
      ? 'No process has it open any more.'
      : `Not permitted to see the owning process${uid === undefined ? '' : ` (uid ${uid})`}: run as that user or with CAP_SYS_PTRACE (sudo).`,
  )
}

/** A connection that one may do something to. */
export interface Reached {
  readonly connection: Connection
  readonly socket: BorrowedSocket
}

export interface Reach {
  readonly reached: Reached[]
  /** Those that are not permitted. */
  readonly refused: { readonly connection: Connection; readonly error: DeadpeerError }[]
}

/** Between two looks at whether somebody wants it to end. */
const SLICE = 128

/** Borrows all that one may. Those that were closed meanwhile are left out. */
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
 * The same for what needs some.
 *
 * @throws {@link Misuse} where there are none, or none is permitted.
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

/** Whether its process, or that process's descriptor, is no more. */
export function isGone(error: unknown): boolean {
  return (
    error instanceof DeadpeerError &&
    ['ERR_SOCKET_CLOSED', 'ERR_NOT_TCP', 'EBADF', 'ESRCH'].includes(error.code)
  )
}

/** That what changes connections, or bothers their peers, is not let loose on a whole host by a slip. */
export function mustSelect({ pid, port, prefix }: Selection): void {
  if ((pid ?? port ?? prefix) !== undefined) return
  throw new Misuse('say which connections: --pid, --port or a prefix (0.0.0.0/0 and ::/0 are all)')
}

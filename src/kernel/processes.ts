import { readFileSync, readlinkSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { basename } from 'node:path'
import { type DeadpeerError, InvalidTypeError } from '../errors.js'
import { readError, requireLinux } from './proc-file.js'
import { Slice } from './slice.js'

/** A descriptor that holds a socket open. */
export interface SocketOwner {
  /** The process, in the PID namespace of the caller. */
  readonly pid: number
  /**
   * The process's name as `ps -o comm` shows it, at most 15 bytes: `/proc/<pid>/comm`. Every Node from 24 on is called `MainThread` or
   * `node-MainThread` there: of these it is the name of the program, as `node`.
   */
  readonly command: string
  /** The descriptor's number in that process. */
  readonly fd: number
}

/**
 * Whose sockets they are: by inode, every descriptor of every process that holds one, by process and descriptor. Read from
 * `/proc/<pid>/fd`, proc(5), so of other users' processes only with CAP_SYS_PTRACE, and of none that another PID
 * namespace hides. What one may not see is not in there: `undefined` says "nobody that one may see", and a socket
 * in TIME-WAIT, or closed by its owner, has nobody at all.
 *
 * Processes that come, go or open and close while it reads are taken as they are found. It leaves the event loop free
 * every two milliseconds.
 *
 * @param inodes those that matter, `undefined` among them being passed over; left out: all sockets, of whatever kind.
 * @throws (rejects) {@link InvalidTypeError} for what is no iterable of inode numbers; {@link DeadpeerError}
 * `ERR_UNSUPPORTED_PLATFORM` without Linux's `/proc`, or the errno where it cannot be read.
 * @example
 * ```ts
 * const owners = await readSocketOwners([record.inode])
 * const [owner] = owners.get(record.inode!) ?? []
 * if (owner) tune(borrowSocket(owner.pid, owner.fd), 'cloud')
 * ```
 */
export async function readSocketOwners(
  inodes?: Iterable<number | undefined>,
): Promise<Map<number, SocketOwner[]>> {
  const wanted = inodes === undefined ? undefined : checkInodes(inodes)
  requireLinux('readSocketOwners')
  const owners = new Map<number, SocketOwner[]>()
  if (wanted?.size === 0) return owners
  const slice = new Slice()
  for (const pid of (await readPids()).sort((a, b) => a - b)) {
    await slice.next()
    await addSockets(owners, pid, wanted, slice)
  }
  return owners
}

/**
 * When a process began, in ticks since the system did: proc_pid_stat(5), `starttime`. With it a number stands for one process only. `undefined`
 * where there is none, or none that one may see.
 */
export function readStartTime(pid: number): number | undefined {
  try {
    // The name, in parentheses, may have spaces and parentheses of its own.
    const [, ...fields] = /.*\) (.*)/s.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))![1]!.split(' ')
    return Number(fields[18])
  } catch (error) {
    if (isOutOfSight(error)) return undefined
    throw unreadable(error)
  }
}

/** The inode in what a socket's descriptor links to: `socket:[123]`. */
export function parseSocketLink(link: string): number | undefined {
  const inode = /^socket:\[(\d+)\]$/.exec(link)?.[1]
  return inode === undefined ? undefined : Number(inode)
}

function checkInodes(inodes: Iterable<number | undefined>): Set<number> {
  const field = 'inodes'
  if (typeof inodes !== 'object' || inodes === null || !(Symbol.iterator in inodes)) {
    throw new InvalidTypeError('inodes must be an iterable of inode numbers.', { field })
  }
  const wanted = new Set<number>()
  for (const inode of inodes) {
    if (inode === undefined) continue
    wanted.add(inode)
    if (Number.isSafeInteger(inode) && inode >= 0) continue
    throw new InvalidTypeError(`An inode must be a whole number from 0; got ${String(inode)}.`, { field })
  }
  return wanted
}

async function readPids(): Promise<number[]> {
  try {
    return await numbersIn('/proc')
  } catch (error) {
    throw unreadable(error)
  }
}

/** Adds one process's sockets. None where it has ended or is not ours to see. */
async function addSockets(
  owners: Map<number, SocketOwner[]>,
  pid: number,
  wanted: Set<number> | undefined,
  slice: Slice,
): Promise<void> {
  const found: { inode: number; fd: number }[] = []
  let command: string
  try {
    for (const fd of (await numbersIn(`/proc/${pid}/fd`)).sort((a, b) => a - b)) {
      await slice.next()
      const inode = socketAt(pid, fd)
      if (inode !== undefined && (!wanted || wanted.has(inode))) found.push({ inode, fd })
    }
    if (found.length === 0) return
    command = readCommand(pid)
  } catch (error) {
    if (isOutOfSight(error)) return
    throw unreadable(error)
  }
  for (const { inode, fd } of found) {
    if (slice.isOver) await slice.next()
    const known = owners.get(inode)
    if (known) known.push({ pid, command, fd })
    else owners.set(inode, [{ pid, command, fd }])
  }
}

function readCommand(pid: number): string {
  const name = readFileSync(`/proc/${pid}/comm`, 'utf8').replace(/\n$/, '')
  if (name !== 'MainThread' && name !== 'node-MainThread') return name
  const [program = ''] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0', 1)
  return basename(program) || name
}

function socketAt(pid: number, fd: number): number | undefined {
  try {
    return parseSocketLink(readlinkSync(`/proc/${pid}/fd/${fd}`))
  } catch (error) {
    if (isOutOfSight(error)) return undefined
    throw error
  }
}

/** Ended or closed since, or not ours to see. Not so where we are short of descriptors, say. */
function isOutOfSight(error: unknown): boolean {
  const { code = '' } = error as NodeJS.ErrnoException
  return ['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(code)
}

function unreadable(error: unknown): DeadpeerError {
  const { errno = 0, syscall = '' } = error as NodeJS.ErrnoException
  return readError('/proc', { errno, syscall })
}

/**
 * The entries of a folder of /proc that are numbers. By name alone: asked for more, Node looks at each that the kernel tells no type of, as it
 * does of what has just gone, and fails where it has. On the pool, since a process may hold thousands of descriptors; all in one task of it, so that
 * nothing stays open where a worker is terminated meanwhile.
 */
async function numbersIn(folder: string): Promise<number[]> {
  return (await readdir(folder)).filter((name) => /^\d+$/.test(name)).map(Number)
}

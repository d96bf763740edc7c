import { readFileSync, readlinkSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { basename } from 'node:path'
import { type DeadpeerError, InvalidTypeError } from '../errors.js'
import { describe } from '../options/check.js'
import { readError, requireLinux } from './proc-file.js'
import { Slice } from './slice.js'

/** A descriptor that holds a socket open. */
export interface SocketOwner {
  /** The process, in the PID namespace of the caller. */
  readonly pid: number
  /**
   * The process's name as `ps -o comm` shows it, at most 15 bytes: `/proc/<pid>/comm`. Node 24 and newer is called `MainThread` or
   * `node-MainThread` there; then this is the name of the program file, such as `node`.
   */
  readonly command: string
  /** The descriptor's number in that process. */
  readonly fd: number
}

/**
 * Finds the owners of sockets: a map from inode to every descriptor that holds the socket open, sorted by process and descriptor. It reads
 * `/proc/<pid>/fd`, proc(5).
 *
 * - A socket that is not in the map has no owner that the caller may see. Other users' processes need CAP_SYS_PTRACE. Processes outside the
 *   caller's PID namespace are never visible.
 * - A socket in TIME-WAIT, or one that its owner has closed, has no owner.
 * - A process that starts, ends, opens or closes sockets meanwhile may be found before or after that.
 *
 * It yields to the event loop every 2 ms.
 *
 * @param inodes the sockets' inodes; `undefined` among them is skipped. Default: all sockets of all kinds.
 * @throws (rejects) {@link InvalidTypeError} for anything but an iterable of inode numbers; {@link DeadpeerError}
 * `ERR_UNSUPPORTED_PLATFORM` if the system is not Linux, or the errno if `/proc` cannot be read.
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
 * When a process started, in clock ticks since boot: `starttime` of proc_pid_stat(5). A pid and its start time identify one process.
 * `undefined` if there is no such process, or this process may not see it.
 */
export function readStartTime(pid: number): number | undefined {
  try {
    // The process's name, in parentheses, may contain spaces and parentheses.
    const [, ...fields] = /.*\) (.*)/s.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))![1]!.split(' ')
    return Number(fields[18])
  } catch (error) {
    if (isGoneOrHidden(error)) return undefined
    throw unreadable(error)
  }
}

/** The inode in the link of a socket's descriptor: `socket:[123]`. */
export function parseSocketLink(link: string): number | undefined {
  const inode = /^socket:\[(\d+)\]$/.exec(link)?.[1]
  return inode === undefined ? undefined : Number(inode)
}

function checkInodes(inodes: Iterable<number | undefined>): Set<number> {
  const field = 'inodes'
  if (typeof inodes !== 'object' || inodes === null || !(Symbol.iterator in inodes)) {
    throw new InvalidTypeError(`inodes must be an iterable of inode numbers; got ${describe(inodes)}.`, {
      field,
    })
  }
  const wanted = new Set<number>()
  for (const inode of inodes) {
    if (inode === undefined) continue
    wanted.add(inode)
    if (Number.isSafeInteger(inode) && inode >= 0) continue
    throw new InvalidTypeError(`An inode must be a whole number, 0 or greater; got ${String(inode)}.`, {
      field,
    })
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

/** Adds one process's sockets. Adds none if the process has ended, or this process may not see it. */
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
    if (isGoneOrHidden(error)) return
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
    if (isGoneOrHidden(error)) return undefined
    throw error
  }
}

/** Whether the process has ended, has closed the descriptor, or is not visible. Other errors, such as EMFILE, are thrown. */
function isGoneOrHidden(error: unknown): boolean {
  const { code = '' } = error as NodeJS.ErrnoException
  return ['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(code)
}

function unreadable(error: unknown): DeadpeerError {
  const { errno = 0, syscall = '' } = error as NodeJS.ErrnoException
  return readError('/proc', { errno, syscall })
}

/**
 * The entries of a folder in /proc that are numbers. It reads names only: with `withFileTypes`, Node calls lstat for an entry of unknown type,
 * and fails if the entry has just disappeared. It runs on the thread pool, because a process may have thousands of descriptors. It is one task,
 * so no directory stays open if a worker is terminated meanwhile.
 */
async function numbersIn(folder: string): Promise<number[]> {
  return (await readdir(folder)).filter((name) => /^\d+$/.test(name)).map(Number)
}

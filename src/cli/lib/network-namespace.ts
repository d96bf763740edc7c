import { readlinkSync, statSync } from 'node:fs'
import { isInOtherNamespace, mayNotEnter } from '../../kernel/network-namespace.js'
import { Misuse } from './usage.js'

/**
 * Runs something that enters the network namespace of a process.
 *
 * @throws {@link Misuse} with the `nsenter` command to run, if this process lacks the permission.
 */
export async function orNsenter<T>(pid: number | undefined, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (pid === undefined || !mayNotEnter(error)) throw error
    throw mustEnter(pid)
  }
}

/** An error that says that a process is in another network namespace, with the `nsenter` command to run. */
export function mustEnter(pid: number): Misuse {
  return new Misuse(
    `process ${pid} is in another network namespace, and entering that takes CAP_SYS_ADMIN: ${nsenterCommand(pid)}`,
  )
}

/** As {@link mustEnter}, for a process whose descriptors this user may not read; `undefined` if it is in this network namespace. */
export function mustEnterAsRoot(pid: number): Misuse | undefined {
  return isInOtherNamespace(pid) ? mustEnter(pid) : undefined
}

function nsenterCommand(pid: number): string {
  const command = ['nsenter', ...namespaceOptions(pid), '--target', String(pid)]
  const again = ['deadpeer', ...process.argv.slice(2).map(quoted)]
  return [...(isOwnUserNamespace(pid) ? [] : ['sudo']), ...command, ...again].join(' ')
}

/** In a user namespace that this user created, such as a rootless container's, nsenter needs no sudo. */
function namespaceOptions(pid: number): string[] {
  return isOwnUserNamespace(pid) ? ['--user', '--preserve-credentials', '--net'] : ['--net']
}

function isOwnUserNamespace(pid: number): boolean {
  try {
    return (
      readlinkSync(`/proc/${pid}/ns/user`) !== readlinkSync('/proc/self/ns/user') &&
      statSync(`/proc/${pid}`).uid === process.getuid?.()
    )
  } catch {
    return false
  }
}

/** Quotes a word for a shell if necessary. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

import { readlinkSync } from 'node:fs'
import { Misuse } from './usage.js'

/**
 * The kernel lists the sockets of this process's network namespace only: of a process in another one there would be nothing to see, and
 * nothing wrong.
 *
 * @throws {@link Misuse} for such a process.
 */
export function checkSameNamespace(pid: number, command: string): void {
  const own = namespaceOf('self')
  const other = namespaceOf(pid)
  if (own === undefined || other === undefined || own === other) return
  throw new Misuse(
    `process ${pid} is in another network namespace, whose connections cannot be seen from here: nsenter -t ${pid} -n deadpeer ${command} --pid ${pid}`,
  )
}

/** `undefined` where one may not see it, or the process has ended. */
function namespaceOf(pid: number | 'self'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`)
  } catch {
    return undefined
  }
}

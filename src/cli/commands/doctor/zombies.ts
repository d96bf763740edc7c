import { borrowSocket, listSockets, readSocketOwners, type SocketOwner } from '../../../host/index.js'
import { DeadpeerError, inspect } from '../../../index.js'
import type { Diagnosis } from './diagnosis.js'
import type { Remedies } from './remedies.js'

/**
 * Finds connections that the kernel has given up and that their program, which has not noticed, keeps open. The kernel no longer lists them, so this
 * searches the descriptors of all processes that this user may inspect.
 */
export async function findZombies(
  pid: number | undefined,
  remedies: Remedies,
  signal: AbortSignal,
): Promise<Diagnosis[]> {
  const listed = new Set<number>()
  for (const { inode } of await listSockets({ pid, signal })) if (inode !== undefined) listed.add(inode)
  const byProcess = new Map<number, SocketOwner[]>()
  for (const [inode, holders] of await readSocketOwners()) {
    const owner = holders.find((each) => pid === undefined || each.pid === pid)
    if (!owner || listed.has(inode) || !isZombie(owner.pid, owner.fd)) continue
    byProcess.set(owner.pid, [...(byProcess.get(owner.pid) ?? []), owner])
  }
  return [...byProcess.values()].map((zombies) => {
    const { pid, command, fd } = zombies[0]!
    return {
      severity: 'error',
      code: 'zombie',
      fault: 'program',
      message:
        'The kernel has given up the connection. Your program has not noticed, because it neither reads nor writes the socket.',
      change: 'Restart the program. In Node, watch() closes such connections at once.',
      command: remedies.inspect(pid, fd),
      process: { pid, command },
      connections: zombies.length,
      example: { fd },
    }
  })
}

function isZombie(pid: number, fd: number): boolean {
  try {
    return inspect(borrowSocket(pid, fd)).verdict === 'dead'
  } catch (error) {
    // Most sockets are not TCP. A socket that may not be read is not reported.
    if (error instanceof DeadpeerError) return false
    throw error
  }
}

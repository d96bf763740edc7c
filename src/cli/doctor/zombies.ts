import { borrowSocket, listSockets, readSocketOwners } from '../../host.js'
import { DeadpeerError, inspect } from '../../index.js'
import { type Diagnosis, summed } from './diagnosis.js'

/**
 * Connections that the kernel has given up, and that their program keeps open since nobody has told it. No list has them: they are
 * sockets that a process holds and the kernel does not list.
 */
export async function findZombies(pid: number | undefined, signal: AbortSignal): Promise<Diagnosis[]> {
  const listed = new Set<number>()
  for (const { inode } of await listSockets({ pid, signal })) if (inode !== undefined) listed.add(inode)
  const owners = await readSocketOwners()
  const zombies = [...owners].flatMap(([inode, holders]) => {
    const owner = holders.find((each) => pid === undefined || each.pid === pid)
    return owner && !listed.has(inode) && isZombie(owner.pid, owner.fd) ? [owner] : []
  })
  return summed(
    zombies.map(({ pid, command, fd }) => ({
      severity: 'error',
      code: 'zombie',
      message:
        'The kernel has given the connection up, and the program has not noticed: it neither reads nor writes it.',
      change: `deadpeer inspect ${pid}:${fd} says why. In Node, watch() hears of it.`,
      process: { pid, command },
      example: { fd },
    })),
  )
}

function isZombie(pid: number, fd: number): boolean {
  try {
    return inspect(borrowSocket(pid, fd)).verdict === 'dead'
  } catch (error) {
    // Most are of another kind; and one that may not be looked at is not known to be one.
    if (error instanceof DeadpeerError) return false
    throw error
  }
}

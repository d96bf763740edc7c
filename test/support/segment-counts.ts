import { readFileSync } from 'node:fs'
import { inspect } from '../../src/index.js'
import { nativeCore } from '../../src/kernel/binding.js'
import type { Pair } from './connections.js'
import { descriptorOf } from './descriptors.js'
import { until } from './until.js'

// Whether segments arrive, as the kernel counts them.

/** How many have left towards the peer, and how many of them TCP has seen there: a filter comes before. */
export function segmentsOf({ socket, peer }: Pair): { sent: number; heard: number } {
  return { sent: inspect(socket).info!.segsOut!, heard: inspect(peer).info!.segsIn! }
}

/** How many the kernel has dropped at the peer's socket: by a filter, or heard and of no use to TCP, such as duplicates. */
function dropsAt({ peer }: Pair): number {
  return nativeCore()!.readDrops(descriptorOf(peer)) as number
}

/**
 * How many packets the whole machine has dropped on their way to any socket: loopback loses them too where more than
 * `net.core.netdev_max_backlog` arrive at once, and other tests send such bursts. Second column of softnet_stat.
 */
function backlogDrops(): number {
  const lines = readFileSync('/proc/net/softnet_stat', 'utf8').trim().split('\n')
  return lines.reduce((sum, line) => sum + Number.parseInt(line.split(' ')[1]!, 16), 0)
}

/**
 * What has left towards the peers, and was not heard there. The two ends are read one after the other, and what goes on meanwhile is sent and heard as
 * well: so what has left is read before and after.
 */
function unheard(pairs: readonly Pair[]): { sent: number; least: number; most: number } {
  const sum = { sent: 0, least: 0, most: 0 }
  for (const { socket, peer } of pairs) {
    const before = inspect(socket).info!.segsOut!
    const heard = inspect(peer).info!.segsIn!
    const after = inspect(socket).info!.segsOut!
    sum.sent += before
    sum.least += before - heard
    sum.most += after - heard
  }
  return sum
}

/** Counts from now on how many segments were lost at the peers' sockets: not fewer, and not more, than these. */
export function countLost(pairs: readonly Pair[]): () => { sent: number; least: number; most: number } {
  const before = { ...unheard(pairs), elsewhere: backlogDrops() }
  return () => {
    const { sent, least, most } = unheard(pairs)
    return {
      sent: sent - before.sent,
      least: least - before.most - (backlogDrops() - before.elsewhere),
      most: most - before.least,
    }
  }
}

/** Has a byte sent to the peer, and says whether that hears it. Not for a share between none and all. */
export async function hears(pair: Pair): Promise<boolean> {
  const { heard } = segmentsOf(pair)
  const drops = dropsAt(pair)
  pair.socket.setNoDelay().write('.')
  await until(() => segmentsOf(pair).heard > heard || dropsAt(pair) > drops)
  return segmentsOf(pair).heard > heard
}

/** What the kernel says to taking the filter away: whether there was one. */
export function tookFilter({ peer }: Pair): boolean {
  return nativeCore()!.undeafen(descriptorOf(peer)) === undefined
}

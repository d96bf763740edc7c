import { readFileSync } from 'node:fs'
import { inspect } from '../../src/index.js'
import { nativeCore } from '../../src/kernel/binding.js'
import { descriptorOf } from '../../src/socket/target.js'
import type { Pair } from './connections.js'
import { until } from './until.js'

// Whether segments arrive, as the kernel counts them.

/** How many have left towards the peer, and how many of them TCP has seen there: a filter comes before. */
export function segmentsOf({ socket, peer }: Pair): { sent: number; heard: number } {
  return { sent: inspect(socket).info!.segsOut!, heard: inspect(peer).info!.segsIn! }
}

/** How many the kernel has dropped at the peer's socket: by a filter, or heard and of no use to TCP, such as duplicates. */
function dropsAt({ peer }: Pair): number {
  return nativeCore()!.readDrops(descriptorOf(peer))
}

/**
 * How many packets the whole machine has dropped on their way to any socket: loopback loses them too where more than
 * `net.core.netdev_max_backlog` arrive at once, and other tests send such bursts. Second column of softnet_stat.
 */
function backlogDrops(): number {
  const lines = readFileSync('/proc/net/softnet_stat', 'utf8').trim().split('\n')
  return lines.reduce((sum, line) => sum + Number.parseInt(line.split(' ')[1]!, 16), 0)
}

/** Counts from now on how many segments were lost at the peers' sockets: not fewer, and not more, than these. */
export function countLost(pairs: readonly Pair[]): () => { sent: number; least: number; most: number } {
  const total = () => {
    const all = pairs.map(segmentsOf)
    const sent = all.reduce((sum, each) => sum + each.sent, 0)
    return { sent, lost: all.reduce((sum, each) => sum + each.sent - each.heard, 0) }
  }
  const before = { ...total(), elsewhere: backlogDrops() }
  return () => {
    const { sent, lost } = total()
    const most = lost - before.lost
    return { sent: sent - before.sent, least: most - (backlogDrops() - before.elsewhere), most }
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
  return nativeCore()!.undeafen(descriptorOf(peer)) === 0
}

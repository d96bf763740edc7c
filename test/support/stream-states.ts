import { once } from 'node:events'
import type net from 'node:net'
import { inspect } from '../../src/index.js'
import { connectPair, type Pair } from './connections.js'
import { handleOf } from './descriptors.js'
import { until } from './until.js'

// What Node can be doing with a connection when its peer dies.

export type Situation = 'reading' | 'paused' | 'writing' | 'half-closed'

export async function pairIn(situation: Situation): Promise<Pair> {
  const pair = await connectPair({ allowHalfOpen: situation === 'half-closed' })
  const { socket, peer } = pair
  switch (situation) {
    case 'reading':
      socket.resume()
      break
    case 'paused':
      await backUp(socket, peer)
      break
    case 'writing':
      socket.resume()
      // Beyond what the kernel takes, so that a write is always under way.
      peer.resume()
      socket.write(Buffer.alloc(2 ** 24))
      break
    case 'half-closed':
      socket.resume()
      peer.end()
      await once(socket, 'end')
      // Until then the peer goes on sending its FIN, and so is heard.
      await until(() => inspect(peer).info!.state === FIN_WAIT2)
      break
  }
  return pair
}

const FIN_WAIT2 = 5

/**
 * Nobody reads, and Node has taken in what it holds for a paused stream: it no longer asks the kernel for more, and so
 * hears of nothing. The rest waits in the kernel; the peer has nothing in flight.
 */
export async function backUp(socket: net.Socket, peer: net.Socket): Promise<void> {
  peer.write(Buffer.alloc(3 * socket.readableHighWaterMark))
  await until(() => !isReading(socket) && inspect(peer).info!.unacked === 0 && peer.writableLength === 0)
}

/** Whether Node has the socket in its epoll set for reading. */
export function isReading(socket: net.Socket): boolean {
  return (handleOf(socket) as { reading?: boolean } | undefined)?.reading === true
}

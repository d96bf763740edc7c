import type net from 'node:net'
import { inspect } from '../../src/index.js'
import { nativeCore } from '../../src/kernel/binding.js'
import { type OptionValues, readOptions } from '../../src/kernel/socket-options.js'
import { type ConnectOptions, connect, connectPair, type Pair } from './connections.js'
import { descriptorOf } from './descriptors.js'
import { until } from './until.js'

/** How long since the peer was last heard, in ms. */
export function silenceOf(target: net.Socket | number): number {
  const { lastDataRecv, lastAckRecv } = inspect(target).info!
  return Math.min(lastDataRecv!, lastAckRecv!)
}

/** Until nothing has been heard for a second: before that there is nothing to ask. */
export async function awaitIdle(...sockets: (net.Socket | number)[]): Promise<void> {
  await until(() => sockets.every((socket) => silenceOf(socket) >= 1_000))
}

export async function idlePair(options: ConnectOptions = {}): Promise<Pair> {
  const pair = await connectPair(options)
  await awaitIdle(pair.socket, pair.peer)
  return pair
}

export async function idlePairs(count: number): Promise<Pair[]> {
  const pairs = await connect(count)
  await awaitIdle(pairs.at(-1)!.socket, pairs.at(-1)!.peer)
  return pairs
}

/** What the kernel has, whatever a question that is open will put back. */
export function kernelOptions(target: net.Socket | number): OptionValues {
  return readOptions(nativeCore()!, typeof target === 'number' ? target : descriptorOf(target))
}

/** Segments sent, and bytes of payload. */
export function sentBy(socket: net.Socket): { segments: number; bytes: number } {
  const { segsOut, bytesSent } = inspect(socket).info!
  return { segments: segsOut!, bytes: bytesSent! }
}

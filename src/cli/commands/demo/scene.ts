import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import {
  detectionTime,
  inspect,
  type Profile,
  type Target,
  type TcpInfo,
  tune,
  watch,
} from '../../../index.js'
import { blackHole, type Impairment } from '../../../testing/index.js'
import type { Name } from './events.js'

/** One of the connections, with both its ends. */
export interface Connection {
  readonly name: Name
  readonly label: string
  /** Whether deadpeer has tuned or watches it, so that the prediction must hold. */
  readonly tuned: boolean
  readonly socket: net.Socket
  /** The peer, which vanishes. */
  readonly peer: net.Socket
  /** The options in force, read back from the kernel. */
  readonly profile: Profile
  /** The time from the peer's last segment until the kernel or the heartbeat gives up. */
  readonly predicted: number
}

/** A connection whose peer is gone. */
export interface Silenced extends Connection {
  /** The peer's last segment, on `performance.now()`. The kernel counts from then. */
  readonly heardAt: number
}

/** Connections over loopback whose peers can vanish. */
export interface Scene {
  readonly connections: readonly Connection[]
  /** Makes every peer vanish right after its last segment. */
  silence(): Promise<Silenced[]>
  close(): Promise<void>
}

interface Role {
  readonly name: Name
  readonly label: string
  readonly tuned: boolean
  /** Set if a heartbeat notices the death before the kernel. */
  readonly predicted?: number
  prepare(socket: net.Socket, peer: net.Socket): void | Promise<void>
}

const roles: readonly Role[] = [
  { name: 'untouched', label: 'as Node opens it', tuned: false, prepare: () => {} },
  {
    name: 'setKeepAlive',
    label: 'setKeepAlive(true, 1000)',
    tuned: false,
    prepare: (socket) => void socket.setKeepAlive(true, 1000),
  },
  {
    name: 'backpressured',
    label: 'lan, but backpressured',
    tuned: true,
    prepare: (socket, peer) => {
      tune(socket, 'lan')
      return backUp(socket, peer)
    },
  },
  {
    name: 'watched',
    label: 'the same, and watched',
    tuned: true,
    prepare: (socket, peer) => {
      tune(socket, 'lan')
      watch().add(socket)
      return backUp(socket, peer)
    },
  },
  { name: 'lan', label: "tune(socket, 'lan')", tuned: true, prepare: (socket) => tune(socket, 'lan') },
  {
    name: 'kernel',
    label: 'keepalive 1 s + 3 × 1 s',
    tuned: true,
    prepare: (socket) => tune(socket, { initialDelay: 1_000, interval: 1_000, count: 3 }),
  },
  {
    name: 'heartbeat',
    label: 'watch, heartbeat 1 s × 3',
    tuned: true,
    // Three probes, 510 ms apart, and 300 ms to wait after the last.
    predicted: 1_000 + 2 * 510 + 300,
    prepare: (socket) => void watch({ heartbeat: { every: 1_000 } }).add(socket),
  },
]

/** @throws DeadpeerError `EPERM` if the peers cannot be made to vanish; nothing is left open then. */
export async function openScene(signal: AbortSignal): Promise<Scene> {
  const server = net.createServer()
  const ends: net.Socket[] = []
  const holes: Impairment[] = []

  const adopt = (end: net.Socket) => {
    ends.push(end)
    // Errors are expected here; observe.ts listens for 'close'.
    end.on('error', () => {})
    return end
  }
  const close = async () => {
    for (const hole of holes) hole.restore()
    // A reset, so that the kernel keeps nothing for an end that has data left to send.
    for (const end of ends) end.resetAndDestroy()
    if (!server.listening) return
    server.close()
    await once(server, 'close')
  }

  try {
    server.on('connection', adopt)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening', { signal })
    const connections: Connection[] = []
    for (const role of roles) {
      const pair = await connectPair(server, adopt, signal)
      // Find out whether that is permitted before anything is printed.
      blackHole(pair.peer).restore()
      connections.push(await cast(role, pair))
    }
    return { connections, silence: () => silence(connections, holes), close }
  } catch (error) {
    await close()
    throw error
  }
}

type Pair = Pick<Connection, 'socket' | 'peer'>

async function connectPair(
  server: net.Server,
  adopt: (end: net.Socket) => net.Socket,
  signal: AbortSignal,
): Promise<Pair> {
  const { port } = server.address() as net.AddressInfo
  const accepted = once(server, 'connection', { signal }) as Promise<[net.Socket]>
  const socket = adopt(net.connect(port, '127.0.0.1'))
  const [[peer]] = await Promise.all([accepted, once(socket, 'connect', { signal })])
  peer.resume()
  return { socket, peer }
}

async function cast({ prepare, ...role }: Role, { socket, peer }: Pair): Promise<Connection> {
  await prepare(socket, peer)
  const { profile } = inspect(socket)
  return { predicted: detectionTime(profile).idle, ...role, socket, peer, profile }
}

/**
 * The peer writes until all buffers are full. Node has filled the buffer of the paused stream and stops polling the socket, so it does not
 * notice errors either.
 */
async function backUp(socket: net.Socket, peer: net.Socket): Promise<void> {
  socket.pause()
  const chunk = Buffer.alloc(64 * 1024)
  do while (peer.write(chunk));
  while (await drainsWithin(peer, 250))
  // A later retransmission of the peer would count as heard. Its window probes do not count: they are outside of the window, and the kernel drops
  // them.
  await until(() => {
    const { unacked, sndWnd = 0 } = countersOf(peer)
    return unacked === 0 && sndWnd === 0
  })
}

async function drainsWithin(peer: net.Socket, ms: number): Promise<boolean> {
  const drained = once(peer, 'drain', { signal: AbortSignal.timeout(ms) })
  return await drained.then(
    () => true,
    () => false,
  )
}

async function silence(connections: readonly Connection[], holes: Impairment[]): Promise<Silenced[]> {
  // The kernel counts an acknowledgement as heard, and a backpressured peer still sends one.
  for (const { socket } of connections) socket.write('.')
  await until(() => connections.every(({ socket }) => nothingInFlight(countersOf(socket))))
  for (const { peer } of connections) holes.push(blackHole(peer))
  return connections.map((connection) => {
    const { lastDataRecv, lastAckRecv } = countersOf(connection.socket)
    return { ...connection, heardAt: performance.now() - Math.min(lastDataRecv, lastAckRecv) }
  })
}

/** With data in flight the kernel would retransmit instead of sending probes. */
function nothingInFlight({ unacked, notsentBytes = 0 }: TcpInfo): boolean {
  return unacked === 0 && notsentBytes === 0
}

/** The kernel's counters; the demo does not run without a native core. */
export function countersOf(target: Target): TcpInfo {
  return inspect(target).info!
}

async function until(settled: () => boolean): Promise<void> {
  const deadline = performance.now() + 3_000
  while (!settled()) {
    if (performance.now() > deadline) throw new Error('The connections of the demo are still busy after 3 s.')
    await delay(2)
  }
}

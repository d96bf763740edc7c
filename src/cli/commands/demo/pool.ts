import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { inspect, probeAll, tuneAll } from '../../../index.js'
import { blackHole } from '../../../testing/index.js'
import type { Asked, Silent } from './events.js'

/** Both ends are in this process. */
const CONNECTIONS = 2_000
/** Every fifth peer vanishes. */
const VANISHES = 5
/** More at once would overflow the accept queue. */
const AT_ONCE = 200
/** Descriptors for other uses. */
const SPARE = 100

/** Many idle connections. A fifth of their peers can vanish, and all can be probed at once. */
export interface Pool {
  readonly size: number
  /** Makes the peers vanish. Returns their number. */
  vanish(): Promise<number>
  ask(): Promise<Omit<Asked, 't' | 'event'>>
  close(): Promise<void>
}

/** @throws AbortError when `signal` is aborted; nothing is left open then. */
export async function openPool(signal: AbortSignal): Promise<Pool> {
  const server = net.createServer({ pauseOnConnect: true })
  const sockets: net.Socket[] = []
  /** By remote port. */
  const peers = new Map<number, net.Socket>()
  let heardAt = 0

  const close = async () => {
    for (const end of [...sockets, ...peers.values()]) end.resetAndDestroy()
    if (!server.listening) return
    server.close()
    await once(server, 'close')
  }
  const vanishing = () => sockets.filter((_, i) => i % VANISHES === 0)

  const vanish = async () => {
    // A probe skips a peer that was heard within the last second.
    await delay(Math.max(0, heardAt + 1_050 - performance.now()), undefined, { signal })
    for (const socket of vanishing()) blackHole(peers.get(socket.localPort!)!)
    return vanishing().length
  }
  const ask = async () => {
    const before = sockets.map((socket) => inspect(socket).profile)
    const start = performance.now()
    const results = await probeAll(sockets, { signal })
    const took = Math.round(performance.now() - start)
    const silent = results.flatMap(({ alive, evidence, attempts, idleFor }, i): Silent[] =>
      alive ? [] : [{ port: sockets[i]!.localPort!, evidence, attempts, idleFor: Math.round(idleFor) }],
    )
    const gone = new Set(vanishing().map(({ localPort }) => localPort))
    const untouched = sockets.filter(
      (socket, i) =>
        !gone.has(socket.localPort) &&
        !socket.destroyed &&
        isDeepStrictEqual(inspect(socket).profile, before[i]),
    )
    return {
      took,
      answered: results.length - silent.length,
      wrong:
        silent.filter(({ port }) => !gone.has(port)).length + gone.size - rightlyCalledSilent(silent, gone),
      untouched: untouched.length,
      silent,
    }
  }

  try {
    server.on('connection', (peer) => {
      peer.on('error', () => {})
      peers.set(peer.remotePort!, peer)
    })
    server.listen({ port: 0, host: '127.0.0.1', backlog: 2 * AT_ONCE })
    await once(server, 'listening', { signal })
    const { port } = server.address() as net.AddressInfo
    // Without the signal: Node would warn of a leak of listeners, and on loopback connecting takes no time.
    for (let left = mostConnections(); left > 0; left -= AT_ONCE) {
      const some = Array.from({ length: Math.min(AT_ONCE, left) }, () => net.connect(port, '127.0.0.1'))
      sockets.push(...some)
      for (const socket of some) socket.on('error', () => {})
      await Promise.all(some.map((socket) => once(socket, 'connect')))
      signal.throwIfAborted()
    }
    while (peers.size < sockets.length) await once(server, 'connection', { signal })
    await tuneAll(sockets, 'cloud')
    heardAt = performance.now()
    return { size: sockets.length, vanish, ask, close }
  } catch (error) {
    await close()
    throw error
  }
}

function rightlyCalledSilent(silent: readonly Silent[], gone: ReadonlySet<number | undefined>): number {
  return silent.filter(({ port, evidence }) => gone.has(port) && evidence === 'silence').length
}

/** The number of connections, or less if this process may not open as many descriptors. */
function mostConnections(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8')
  const [, soft] = /^Max open files\s+(\d+)/m.exec(limits) ?? []
  return soft === undefined ? CONNECTIONS : Math.min(CONNECTIONS, Math.floor((Number(soft) - SPARE) / 2))
}

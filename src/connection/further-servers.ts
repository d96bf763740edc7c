import net from 'node:net'
import { onListen } from './accepting-server.js'
import { isFastify, type ServerTarget } from './listening.js'

/** The listeners for the additional servers of fastify, by its first server. */
const waiting = new Map<net.Server, ((server: net.Server) => void)[]>()
let isSubscribed = false

/**
 * Calls `opened` with each additional server that a target opens. Only fastify opens any; they share the request listener of the first.
 *
 * @returns a function that stops it.
 */
export function onFurtherServer(target: ServerTarget, opened: (server: net.Server) => void): () => void {
  if (target instanceof net.Server || !isFastify(target)) return () => {}
  const first = (target as { readonly server: net.Server }).server
  const listeners = waiting.get(first) ?? []
  if (!waiting.has(first)) {
    waiting.set(first, listeners)
    first.once('close', () => waiting.delete(first))
  }
  listeners.push(opened)
  subscribe()
  return () => {
    const place = listeners.indexOf(opened)
    if (place >= 0) listeners.splice(place, 1)
  }
}

function subscribe(): void {
  if (isSubscribed) return
  isSubscribed = true
  onListen((server) => {
    for (const [first, listeners] of waiting) {
      if (server !== first && haveSameHandler(first, server)) for (const opened of listeners) opened(server)
    }
  })
}

function haveSameHandler(first: net.Server, other: net.Server): boolean {
  const handlers = other.listeners('request')
  return first.listeners('request').some((handler) => handlers.includes(handler))
}

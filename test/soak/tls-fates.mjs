import { BY_KEEPALIVE, BY_USER_TIMEOUT, byKernelsProbe, LATE, servers } from './fates.mjs'

// The ways in which the soak ends its TLS, HTTPS and HTTP/2 connections, and what a watcher must report for each. Times in ms.

/** The kinds of watched ends, by how a death is found. Nobody listens to `suspect`, so the kernel may send a heartbeat's probes. */
export const groups = { beating: servers.quiet, clocked: servers.clocked }

const BY_HEARTBEAT = byKernelsProbe(groups.beating.heartbeat.every)

/** How long an idle HTTPS connection is kept, by the server or by the client's agent. */
export const IDLE_TIMEOUT = 1_000

/** Connections that share a server which is closed under them. */
export const CLOSED_TOGETHER = 5

/** More than Node keeps of what is not read, less than the kernel keeps. In bytes. */
export const UNREAD = 64 * 1_024
/** How long a paused client takes at most until it reads that, in ms. */
export const UNREAD_FOR = 1_000

/** How long an end that hears nothing is kept: by then the other end was found dead, or was lost. In ms. */
export const SILENT_FOR = 45_000

const all = ['tls', 'https', 'http2']

/**
 * `by` is the side that ends the connection. After an orderly end both sides must close, and no watcher may report a death or cause an `'error'`.
 * After any other end a watcher of the other side must report one of the reasons in `dead`.
 *
 * @type {Record<string, {
 *   weight: number, kinds: string[], by: 'client' | 'server', isOrderly?: boolean, within?: number,
 *   beating?: { dead: string[], within: number }, clocked?: { dead: string[], within: number },
 * }>}
 */
export const tlsFates = {
  /** It sends close_notify and FIN, or GOAWAY. */
  'client ends': { weight: 12, kinds: ['tls', 'http2'], by: 'client', isOrderly: true, within: LATE },
  'server ends': { weight: 18, kinds: all, by: 'server', isOrderly: true, within: LATE },
  /** Everything was exchanged before: FIN without close_notify. What the other side still sends meets a RST. */
  'client destroys': { weight: 14, kinds: all, by: 'client', isOrderly: true, within: LATE },
  'server destroys': { weight: 8, kinds: all, by: 'server', isOrderly: true, within: LATE },
  /** It sends something just before, which the paused client reads later. */
  'server ends unread': {
    weight: 3,
    kinds: ['tls'],
    by: 'server',
    isOrderly: true,
    within: UNREAD_FOR + LATE,
  },
  'server destroys unread': {
    weight: 3,
    kinds: ['tls'],
    by: 'server',
    isOrderly: true,
    within: UNREAD_FOR + LATE,
  },
  /** The client asks with its only request that the connection be closed. */
  'one request': { weight: 24, kinds: ['https'], by: 'server', isOrderly: true, within: LATE },
  /** The server answers a keep-alive request with `Connection: close`. */
  'server answers close': { weight: 6, kinds: ['https'], by: 'server', isOrderly: true, within: LATE },
  'server closes': { weight: 2, kinds: all, by: 'server', isOrderly: true, within: LATE },
  'keep-alive timeout': {
    weight: 5,
    kinds: ['https'],
    by: 'server',
    isOrderly: true,
    within: IDLE_TIMEOUT + LATE,
  },
  'free socket timeout': {
    weight: 3,
    kinds: ['https'],
    by: 'client',
    isOrderly: true,
    within: IDLE_TIMEOUT + LATE,
  },
  'client resets': { weight: 3, kinds: all, by: 'client', ...deadOf(['reset'], LATE) },
  'server resets': { weight: 3, kinds: all, by: 'server', ...deadOf(['reset'], LATE) },
  /** The client is paused and has something unread: Node does not see the reset. */
  'server resets unread': { weight: 2, kinds: ['tls'], by: 'server', ...deadOf(['reset'], LATE) },
  /** It receives nothing any more while the connection is idle. */
  'client silent': { weight: 4, kinds: all, by: 'client', ...unheard() },
  'server silent': { weight: 4, kinds: all, by: 'server', ...unheard() },
  'server silent unread': { weight: 2, kinds: ['tls'], by: 'server', ...unheard() },
  /** The connection is idle, and half a second later the client sends a request. */
  'server silent in flight': {
    weight: 3,
    kinds: all,
    by: 'server',
    beating: { dead: ['heartbeat'], within: BY_HEARTBEAT },
    clocked: { dead: ['user-timeout'], within: BY_USER_TIMEOUT },
  },
}

function deadOf(dead, within) {
  return { beating: { dead, within }, clocked: { dead, within } }
}

function unheard() {
  return {
    beating: { dead: ['heartbeat'], within: BY_HEARTBEAT },
    clocked: { dead: ['keepalive'], within: BY_KEEPALIVE },
  }
}

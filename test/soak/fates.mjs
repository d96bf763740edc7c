// What is done to connections, and what a watcher must say of each. Times in ms.

/** Attempts are 510 ms apart; the last one waits for its timeout. */
const heartbeat = { attempts: 3, timeout: 300 }
const ATTEMPTS = (heartbeat.attempts - 1) * 510 + heartbeat.timeout

/** The heartbeats that connections have, one in whole seconds each. In s. */
export const EVERY = { least: 2, most: 16 }

/**
 * One server for each kind of connection. `every` is the heartbeat's until a connection is known; then it gets one of its own. Where the watcher
 * has a `suspect` listener it sends all probes itself. Without one the kernel may send them on schedule.
 */
export const servers = {
  /** The kernel's own clock is too slow to be first. */
  beating: {
    profile: { initialDelay: 30_000, interval: 5_000, count: 3, userTimeout: 45_000 },
    heartbeat: { every: 5_000, ...heartbeat },
    listensToSuspect: true,
  },
  /** The same without a `suspect` listener. */
  quiet: {
    profile: { initialDelay: 30_000, interval: 5_000, count: 3, userTimeout: 45_000 },
    heartbeat: { every: 5_000, ...heartbeat },
    listensToSuspect: false,
  },
  /** Keepalive is off. */
  bare: {
    profile: undefined,
    heartbeat: { every: 5_000, ...heartbeat },
    listensToSuspect: false,
  },
  /** No heartbeat: the kernel's clock alone. */
  clocked: {
    profile: { initialDelay: 4_000, interval: 1_000, count: 4, userTimeout: 8_000 },
    heartbeat: false,
    listensToSuspect: true,
  },
}

/** What may come on top: garbage is collected, others are seen to first. What the subject waits for a processor is measured, and added. */
export const LATE = 1_500

/** If the watcher sends the probes. */
export function byOwnProbes(every) {
  return every + ATTEMPTS + LATE
}

/**
 * If the kernel sends the first probe: its timer is late by up to an eighth of what it waits for, and that there was no answer is seen after
 * the timeout of an attempt.
 */
export function byKernelsProbe(every) {
  return every * (9 / 8) + heartbeat.timeout + ATTEMPTS + LATE
}

/** The kernel's timers are late by up to an eighth of what they wait for. */
export const BY_KEEPALIVE = (4_000 + 4 * 1_000) * (9 / 8) + LATE

/** Counted from the first retransmission, 400 ms after the write. */
export const BY_USER_TIMEOUT = 400 + 8_000 * (9 / 8) + LATE

/** How long the subject waits before it writes to one that is silent. */
export const WRITE_AFTER = 500

/** What must become of all that have a heartbeat. `within` depends on its `every`. */
const foundByHeartbeat = {
  beating: { dead: ['heartbeat'], within: byOwnProbes },
  quiet: { dead: ['heartbeat'], within: byKernelsProbe },
  bare: { dead: ['heartbeat'], within: byKernelsProbe },
}

const unheard = { ...foundByHeartbeat, clocked: { dead: ['keepalive'], within: BY_KEEPALIVE } }

function all(rule) {
  return { beating: rule, quiet: rule, bare: rule, clocked: rule }
}

/**
 * With `isAcknowledged` the peer says something of its own just before. Not over a path that loses the acknowledgement: it would say it again and
 * again, and not be silent at all.
 *
 * `within` is a time, or says it for an `every`.
 *
 * @type {Record<string, { weight: number, isAcknowledged?: boolean, beating?: object, quiet?: object, bare?: object, clocked?: object }>}
 */
export const fates = {
  /** It hears nothing any more while nothing is said. */
  silent: { weight: 28, ...unheard },
  /** The same, and half a second later something is said to it, from when on it counts. If that does not come about it was just silent. */
  'silent in flight': {
    weight: 12,
    ...foundByHeartbeat,
    clocked: { dead: ['user-timeout'], within: BY_USER_TIMEOUT },
  },
  /** The same, and nobody reads what it said before: Node does not look. */
  'silent unread': { weight: 5, isAcknowledged: true, ...unheard },
  reset: { weight: 15, ...all({ dead: ['reset'], within: LATE }) },
  /** The same while something was on its way: data and a reset that are read in one turn of the event loop are data and an end to libuv. */
  'reset while talking': { weight: 0, ...all({ dead: ['reset'], orClosing: true, within: LATE }) },
  /** It closes its side; half of the time the other side takes a while to close its own. */
  'half-close': { weight: 14, ...all({ closing: true, within: LATE }) },
  /** It closes its side, hears nothing any more, and this side stays open. A heartbeat does not ask those: the kernel does. */
  'half-close, silent': {
    weight: 5,
    isAcknowledged: true,
    clocked: { closing: true, dead: ['keepalive'], within: BY_KEEPALIVE },
  },
  /** This side closes. */
  ours: { weight: 8, ...all({}) },
  /** It is taken out of the watcher, and reset after that. */
  removed: { weight: 4, ...all({}) },
  /** The process that it belongs to is killed: the kernel closes it, or resets it where something was unread. */
  killed: { weight: 0, ...all({ dead: ['reset'], orClosing: true, within: LATE }) },
}

/** A fate that is no end: it hears nothing until it has swallowed two segments, fewer than what is called dead. */
export const BRIEF = {
  name: 'brief',
  weight: 9,
  segments: 2,
  deadlyFrom: { beating: 3, quiet: 3, bare: 3, clocked: 4 },
}

/** The longest that any of them may take to be told, and the bounds of a verdict. */
export const GRACE = WRITE_AFTER + Math.max(byKernelsProbe(1_000 * EVERY.most), BY_KEEPALIVE, BY_USER_TIMEOUT)

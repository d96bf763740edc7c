// What is done to connections, and what a watcher must say of each. Times in ms.

/** One server's connections go by the heartbeat: the kernel's own clock is too slow to be first. The other's go by that clock alone. */
export const servers = {
  beating: {
    profile: { initialDelay: 30_000, interval: 5_000, count: 3, userTimeout: 45_000 },
    heartbeat: { every: 5_000, attempts: 3, timeout: 300 },
  },
  clocked: {
    profile: { initialDelay: 4_000, interval: 1_000, count: 4, userTimeout: 8_000 },
    heartbeat: false,
  },
}

/** What may come on top: garbage is collected, others are seen to first. What the subject waits for a processor is measured, and added. */
export const LATE = 1_500

/** `every`, three attempts 510 ms apart, the last of which waits for its 300 ms. */
export const BY_HEARTBEAT = 5_000 + 2 * 510 + 300 + LATE

/** The kernel's timers are late by up to an eighth of what they wait for. */
export const BY_KEEPALIVE = (4_000 + 4 * 1_000) * (9 / 8) + LATE

/** Counted from the first retransmission, 400 ms after the write. */
export const BY_USER_TIMEOUT = 400 + 8_000 * (9 / 8) + LATE

/** How long the subject waits before it writes to one that is silent. */
export const WRITE_AFTER = 500

const unheard = {
  beating: { dead: ['heartbeat'], within: BY_HEARTBEAT },
  clocked: { dead: ['keepalive'], within: BY_KEEPALIVE },
}

/**
 * With `isAcknowledged` the peer says something of its own just before. Not over a path that loses the acknowledgement: it would say it again and
 * again, and not be silent at all.
 *
 * @type {Record<string, { weight: number, isAcknowledged?: boolean, beating?: object, clocked?: object }>}
 */
export const fates = {
  /** It hears nothing any more while nothing is said. */
  silent: { weight: 28, ...unheard },
  /** The same, and half a second later something is said to it, from when on it counts. If that does not come about it was just silent. */
  'silent in flight': {
    weight: 12,
    beating: { dead: ['heartbeat'], within: BY_HEARTBEAT },
    clocked: { dead: ['user-timeout'], within: BY_USER_TIMEOUT },
  },
  /** The same, and nobody reads what it said before: Node does not look. */
  'silent unread': { weight: 5, isAcknowledged: true, ...unheard },
  reset: {
    weight: 15,
    beating: { dead: ['reset'], within: LATE },
    clocked: { dead: ['reset'], within: LATE },
  },
  /** The same while something was on its way: data and a reset that are read in one turn of the event loop are data and an end to libuv. */
  'reset while talking': {
    weight: 0,
    beating: { dead: ['reset'], orClosing: true, within: LATE },
    clocked: { dead: ['reset'], orClosing: true, within: LATE },
  },
  /** It closes its side; half of the time the other side takes a while to close its own. */
  'half-close': {
    weight: 14,
    beating: { closing: true, within: LATE },
    clocked: { closing: true, within: LATE },
  },
  /** It closes its side, hears nothing any more, and this side stays open. A heartbeat does not ask those: the kernel does. */
  'half-close, silent': {
    weight: 5,
    isAcknowledged: true,
    clocked: { closing: true, dead: ['keepalive'], within: BY_KEEPALIVE },
  },
  /** This side closes. */
  ours: { weight: 8, beating: {}, clocked: {} },
  /** It is taken out of the watcher, and reset after that. */
  removed: { weight: 4, beating: {}, clocked: {} },
  /** The process that it belongs to is killed: the kernel closes it, or resets it where something was unread. */
  killed: {
    weight: 0,
    beating: { dead: ['reset'], orClosing: true, within: LATE },
    clocked: { dead: ['reset'], orClosing: true, within: LATE },
  },
}

/** A fate that is no end: it hears nothing until it has swallowed two segments, fewer than what is called dead. */
export const BRIEF = { name: 'brief', weight: 9, segments: 2, deadlyFrom: { beating: 3, clocked: 4 } }

/** The longest that any of them may take to be told, and the bounds of a verdict. */
export const GRACE = WRITE_AFTER + Math.max(BY_HEARTBEAT, BY_KEEPALIVE, BY_USER_TIMEOUT)

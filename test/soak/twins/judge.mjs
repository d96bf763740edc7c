// When a connection that was tuned, probed and watched ended, beside its twin. Pure, times in ms. Both are counted from when the peer was
// last heard, or from a write to both at once: they need not have been heard at the same moment.

/** @typedef {{ enable: boolean, initialDelay: number, interval: number, count: number, userTimeout: number }} Profile */

/** The kernel's timers fire late by up to an eighth of the wait, and never early. What else is on the machine adds. */
export const SLACK = { share: 1 / 8, fixed: 250 }

/** By the kernel, which Node reads as an end if there was unread data. No peer ends a connection in an orderly way. */
const TIMED_OUT = ['ETIMEDOUT', 'EOF']

/** Two readings of the kernel's clocks differ by up to some ticks. */
const CLOCK_DIFFERENCE = 50

/**
 * The least that the kernel waits before it ends a connection.
 *
 * @param {Profile} profile
 * @param {boolean} isInFlight data is unacknowledged, so keepalive rests
 */
export function leastWait({ enable, initialDelay, interval, count, userTimeout }, isInFlight) {
  if (isInFlight) return userTimeout || Number.POSITIVE_INFINITY
  if (!enable) return Number.POSITIVE_INFINITY
  return userTimeout > 0 ? Math.max(userTimeout, initialDelay + interval) : initialDelay + interval * count
}

/** The wait that follows if no timer is late. */
export function nominalWait(profile, isInFlight) {
  const { enable, initialDelay, interval, userTimeout } = profile
  if (isInFlight || !enable || userTimeout === 0) return leastWait(profile, isInFlight)
  return initialDelay + Math.max(1, Math.ceil((userTimeout - initialDelay) / interval)) * interval
}

/**
 * Whether lateness alone may decide at which of two probes the kernel gives up: `userTimeout` comes due just after one.
 *
 * @param {Profile} profile
 */
export function isTossUp({ enable, initialDelay, interval, userTimeout }) {
  if (!enable || userTimeout === 0) return false
  for (let firing = initialDelay + interval; firing < userTimeout; firing += interval) {
    if (firing * (1 + SLACK.share) + SLACK.fixed >= userTimeout) return true
  }
  return false
}

/**
 * @typedef {object} Ending
 * @property {number} at
 * @property {number} silence since the peer was last heard
 * @property {number} noticedWithin by how much `at` and `silence` may be too large, as the observer was busy or had no processor
 * @property {string} code
 *
 * @typedef {object} Pair
 * @property {number} id
 * @property {Profile} profile the owner's options of both
 * @property {number} every the heartbeat's; 0: there was none
 * @property {number | undefined} wroteAt when both were written to
 * @property {Ending | undefined} tested
 * @property {Ending | undefined} twin
 * @property {number | undefined} survived for how long the one that lives has waited altogether, if only one has ended
 * @property {boolean} wasPending `inspect` showed values as `pending`
 */

/**
 * @param {Pair} pair
 * @returns {{ isCompared: boolean, lead?: number, fault?: string, isExcused?: boolean }} `lead`: how much sooner than the twin it ended
 */
export function judgePair({ profile, every, wroteAt, tested, twin, survived, wasPending }) {
  const isInFlight = wroteAt !== undefined
  const waited = ({ at, silence }) => (isInFlight ? at - wroteAt : silence)
  for (const one of [tested, twin]) {
    if (one && !TIMED_OUT.includes(one.code)) return { isCompared: false, fault: `ended with ${one.code}` }
  }
  if (!tested && !twin) return { isCompared: false }
  if (!twin) {
    // Had the outage lasted longer the twin might have ended as well, but not before this.
    const isEarly = waited(tested) < leastWait(profile, isInFlight) - CLOCK_DIFFERENCE
    return { isCompared: false, ...(isEarly && { fault: 'ended although its twin lives' }) }
  }
  const slack = waited(twin) * SLACK.share + SLACK.fixed + uncertainty(profile, isInFlight)
  const latest = waited(twin) + every + slack + (tested?.noticedWithin ?? 0)
  if (!tested) return lateness(survived > latest, 'outlived its twin', wasPending, false)
  const lead = waited(twin) - waited(tested)
  if (lead > slack + twin.noticedWithin) return { isCompared: true, lead, fault: 'ended before its twin' }
  return { lead, ...lateness(waited(tested) > latest, 'ended after its twin', wasPending, true) }
}

function lateness(isLate, fault, wasPending, isCompared) {
  if (!isLate) return { isCompared }
  return wasPending ? { isCompared, isExcused: true } : { isCompared, fault }
}

/** By how much two untouched connections with the same options may differ. */
function uncertainty(profile, isInFlight) {
  if (isInFlight) return 0
  // After an acknowledged probe the timer stands at `interval`, also if that is longer.
  const timerAtInterval = Math.max(0, profile.interval - profile.initialDelay)
  return timerAtInterval + (isTossUp(profile) ? profile.interval : 0)
}

import { silentFor, type TcpInfo, TcpState } from '../kernel/tcp-info.js'
import { probesUntil } from '../profile/detection-time.js'
import type { Profile } from '../profile/profile.js'
import { COUNT_MAX } from './plan.js'

/** The values to write now, and those to write once the peer is heard. */
export interface Deferral {
  /** Values that are safe now. For a field of `later`, a stand-in until the peer is heard. */
  readonly now: Profile
  /** Values that could end the connection in its present state. */
  readonly later: Profile
}

/** TCP_RTO_MAX: the longest wait between retransmissions, for kernels without that socket option. */
const RTO_MAX = 120_000

/**
 * Divides settings into those that cannot end a connection in the state that `info` shows, and those that might. Pure. This function is
 * the rule "tuning never kills":
 *
 * - With a `userTimeout`, keepalive ends the connection when the timer fires, `userTimeout` has passed since the peer was last heard, and a
 *   probe is unanswered. If the peer would get fewer probes before that than on a fresh connection, the `userTimeout` is deferred. Until it
 *   is written, it is off and `count` decides.
 * - Without a `userTimeout`, keepalive ends the connection when the timer fires and `count` probes are unanswered. If that many are unanswered
 *   already, the peer gets `count` more.
 * - `userTimeout` also limits retransmissions and probes of a closed window. If it has passed already, it is deferred until they are
 *   answered, and the socket's previous value stays in force.
 */
export function deferral(wanted: Profile, current: Profile, info: TcpInfo): Deferral {
  const after = { ...current, ...wanted }
  const now = { ...wanted }
  const later: Profile = {}
  const { initialDelay = 0, interval = 0, count = COUNT_MAX, userTimeout = 0 } = after
  const silence = silentFor(info)

  if (info.retransmits > 0 || info.backoff > 0) {
    if (wanted.userTimeout && stalledFor(info, current.rtoMax ?? RTO_MAX) >= wanted.userTimeout) {
      later.userTimeout = wanted.userTimeout
      // Write the present value, which still shows whether the socket takes the option. Another value could end the connection at the
      // next retransmission timeout, without another transmission.
      now.userTimeout = current.userTimeout ?? 0
    }
    return { now, later }
  }
  if (!after.enable || info.state === TcpState.SYN_SENT) return { now, later }

  const promised = userTimeout > 0 ? probesUntil(userTimeout, initialDelay, interval) : count
  const userTimeoutPassed = userTimeout > 0 && probesToCome() < promised
  if (userTimeoutPassed) {
    later.userTimeout = userTimeout
    now.userTimeout = 0
  }
  if (userTimeout > 0 && !userTimeoutPassed) return { now, later }
  const granted = Math.max(count, promised)
  if (info.probes >= count || granted > count) {
    later.count = count
    now.count = Math.min(COUNT_MAX, info.probes >= count ? info.probes + granted : granted)
  }
  return { now, later }

  /** The number of probes that the peer still gets before `userTimeout` ends the connection. */
  function probesToCome(): number {
    // While probes are unanswered, the connection ends the first time the timer fires after `userTimeout`, without another probe.
    return info.probes > 0
      ? Math.max(0, Math.ceil((userTimeout - nextFiring()) / interval))
      : probesUntil(userTimeout, nextFiring(), interval)
  }

  /** When the timer fires next, counted from when the peer was last heard. If that is not known, the earliest possible time. */
  function nextFiring(): number {
    // Switching keepalive on without writing TCP_KEEPIDLE starts a whole initialDelay now.
    if (!current.enable && wanted.initialDelay === undefined) return silence + initialDelay
    // The timer is set to the interval, and only writing TCP_KEEPIDLE moves it.
    if (info.probes > 0 && wanted.initialDelay === undefined) return silence + interval
    return Math.max(silence, initialDelay)
  }
}

/**
 * The longest time that a retransmission, or the probing of a closed window, can have lasted, in ms. The kernel does not report it, so this is
 * an upper bound. Each wait doubles, so the earlier waits add up to less than the present one. Not all waits double: at rtoMax they stay the same,
 * and the first SYNs are sent at even intervals. Then no earlier wait was longer than the present one.
 */
function stalledFor(info: TcpInfo, rtoMax: number): number {
  // No data is sent into a closed window, so the last data was sent before it closed.
  if (info.retransmits === 0) return info.lastDataSent
  const rto = info.rto / 1000
  const doubled = info.backoff >= info.retransmits && rto < rtoMax
  const waits = doubled ? rto : info.retransmits * rto
  // The kernel does not count SYNs as data sent.
  return waits + (info.state === TcpState.SYN_SENT ? rto : info.lastDataSent)
}

/** Whether writing the profile's `initialDelay` makes the kernel send a probe at once. */
export function fires(wanted: Profile, current: Profile, info: TcpInfo): boolean {
  const enabled = wanted.enable ?? current.enable
  return enabled === true && wanted.initialDelay !== undefined && silentFor(info) >= wanted.initialDelay
}

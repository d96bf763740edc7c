import { silentFor, type TcpInfo, TcpState } from '../kernel/tcp-info.js'
import { probesUntil } from '../profile/detection-time.js'
import type { Profile } from '../profile/profile.js'
import { COUNT_MAX } from './plan.js'

/** What to write now, and what only once the peer has been heard. */
export interface Deferral {
  /** Safe at once. For a field of `later`, a value that stands in for it until then. */
  readonly now: Profile
  /** Values that could end the connection as it is. */
  readonly later: Profile
}

/** TCP_RTO_MAX: the longest wait between retransmissions where the kernel has no option for it. */
const RTO_MAX = 120_000

/**
 * Divides settings into those that cannot end a connection in the state that `info` shows and those that
 * might. Pure, and the whole of "tuning never kills":
 *
 * - Keepalive kills at a firing where `userTimeout` has passed since the peer was last heard and one probe is
 *   unanswered. Where the silence so far leaves fewer probes until then than the settings would give from the start, the
 *   `userTimeout` waits, and is off until then: `count` decides.
 * - Without a `userTimeout` it kills at a firing with `count` probes unanswered. Where as many are already, the
 *   connection gets `count` more.
 * - Retransmissions, and probes of a closed window, are measured by `userTimeout` as well. One that has passed
 *   already waits until they are answered, and what the socket had stays in force.
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
      // Written as it is, which still finds out whether the socket takes the option. Any other would end the connection
      // at the retransmission that is due then, without asking the peer once more.
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

  /** Probes that the peer would still get before `userTimeout` ends the connection. */
  function probesToCome(): number {
    // Being probed, it ends at the first firing that is late enough, with no probe more.
    return info.probes > 0
      ? Math.max(0, Math.ceil((userTimeout - nextFiring()) / interval))
      : probesUntil(userTimeout, nextFiring(), interval)
  }

  /** When the timer fires next, counted from when the peer was last heard; not before, if it is not known. */
  function nextFiring(): number {
    // Switching keepalive on without TCP_KEEPIDLE starts a whole initialDelay on top of the silence so far.
    if (!current.enable && wanted.initialDelay === undefined) return silence + initialDelay
    // The timer stands at the interval, and only TCP_KEEPIDLE sets it anew.
    if (info.probes > 0 && wanted.initialDelay === undefined) return silence + interval
    return Math.max(silence, initialDelay)
  }
}

/**
 * How long a retransmission, or the probing of a closed window, can have gone on, in ms. The kernel does not tell,
 * so this is a bound from above. The waits so far double, and so add up to less than the present one; where they
 * did not all double (once at rtoMax; SYNs, of which the first are sent at even intervals) each was at most the present one.
 */
function stalledFor(info: TcpInfo, rtoMax: number): number {
  // Into a closed window no data is sent: the last that was came before.
  if (info.retransmits === 0) return info.lastDataSent
  const rto = info.rto / 1000
  const doubled = info.backoff >= info.retransmits && rto < rtoMax
  const waits = doubled ? rto : info.retransmits * rto
  // SYNs do not count as data sent.
  return waits + (info.state === TcpState.SYN_SENT ? rto : info.lastDataSent)
}

/** Whether writing the profile's `initialDelay` makes the kernel send a probe at once. */
export function fires(wanted: Profile, current: Profile, info: TcpInfo): boolean {
  const enabled = wanted.enable ?? current.enable
  return enabled === true && wanted.initialDelay !== undefined && silentFor(info) >= wanted.initialDelay
}

import type { TcpInfo } from '../kernel/tcp-info.js'
import { probesUntil } from './detection-time.js'
import type { Profile } from './profile.js'

/** What to write now, and what only once the peer has been heard. */
export interface HoldBack {
  /** Safe at once, some of it for the time being only. */
  readonly now: Profile
  /** To be written later: these values could end the connection as it is. */
  readonly later: Profile
}

/** TCP_KEEPCNT's highest. */
const COUNT_MAX = 127

/**
 * Divides settings into those that cannot end a connection in the state that `info` shows and those that
 * might. Pure, and the whole of "tuning never kills":
 *
 * - Keepalive kills at a firing where `userTimeout` has passed since the peer was last heard and one probe is
 *   unanswered. Where the silence so far leaves fewer probes until then than the settings would give from the start, the
 *   `userTimeout` waits, and is off meanwhile: then `count` decides.
 * - Without a `userTimeout` it kills at a firing with `count` probes unanswered. Where as many are already, the
 *   connection gets `count` more.
 * - Retransmissions, and probes of a closed window, are measured by `userTimeout` as well: one that has passed
 *   already waits until they are answered.
 */
export function holdBack(wanted: Profile, current: Profile, info: TcpInfo): HoldBack {
  const after = { ...current, ...wanted }
  const now = { ...wanted }
  const later: Profile = {}
  const { initialDelay = 0, interval = 0, count = COUNT_MAX, userTimeout = 0 } = after
  const silence = silentFor(info)

  if (info.retransmits > 0 || info.backoff > 0) {
    // A peer behind a closed window answers every probe of it, so there the stall counts from the last data sent.
    const stalledFor = Math.max(silence, info.lastDataSent)
    if (wanted.userTimeout && stalledFor >= wanted.userTimeout) {
      later.userTimeout = wanted.userTimeout
      // Written as it is, which still finds out whether the socket takes the option.
      now.userTimeout = current.userTimeout ?? 0
    }
    return { now, later }
  }
  if (!after.enable) return { now, later }

  const userTimeoutPassed =
    userTimeout > 0 && probesToCome() < probesUntil(userTimeout, initialDelay, interval)
  if (userTimeoutPassed) {
    later.userTimeout = userTimeout
    now.userTimeout = 0
  }
  if ((userTimeout === 0 || userTimeoutPassed) && info.probes >= count) {
    later.count = count
    now.count = Math.min(COUNT_MAX, info.probes + count)
  }
  return { now, later }

  /** Probes that the peer would still get before `userTimeout` ends the connection. */
  function probesToCome(): number {
    // Being probed, it ends at the first firing that is late enough, with no probe more.
    if (info.probes > 0) return Math.max(0, Math.ceil((userTimeout - (silence + interval)) / interval))
    // Switching keepalive on without TCP_KEEPIDLE starts a whole initialDelay on top of the silence so far.
    const switchedOn = !current.enable && wanted.initialDelay === undefined
    const firstProbe = switchedOn ? silence + initialDelay : Math.max(silence, initialDelay)
    return probesUntil(userTimeout, firstProbe, interval)
  }
}

/** Time since the peer was last heard, in ms, by the measure that the kernel's keepalive uses. */
export function silentFor(info: TcpInfo): number {
  return Math.min(info.lastDataRecv, info.lastAckRecv)
}

/** Whether writing the profile's `initialDelay` makes the kernel send a probe at once. */
export function fires(wanted: Profile, current: Profile, info: TcpInfo): boolean {
  const enabled = wanted.enable ?? current.enable
  return enabled === true && wanted.initialDelay !== undefined && silentFor(info) >= wanted.initialDelay
}

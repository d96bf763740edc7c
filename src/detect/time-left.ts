import { silentFor, type TcpInfo, TcpState } from '../kernel/tcp-info.js'
import { inFlightDetection, systemDefaults } from '../socket/detection-time.js'
import type { Profile } from '../socket/profile.js'

export interface TimeLeft {
  /** ms; `Infinity`: nothing will ever end it. */
  readonly ms: number
  /** Whether it is that time, up to the slack of the kernel's timers; or else the most that it can be. */
  readonly isExact: boolean
}

/**
 * When the kernel gives a connection up if its peer is never heard again. `undefined` for one that is not open. Pure.
 *
 * @param dueIn in how many ms the keepalive timer fires, where that is what runs.
 */
export function timeLeft(info: TcpInfo, profile: Profile, dueIn: number | undefined): TimeLeft | undefined {
  if (info.state !== TcpState.ESTABLISHED && info.state !== TcpState.CLOSE_WAIT) return undefined
  const settings = { ...systemDefaults, ...profile }
  // The kernel counts from the first retransmission, and does not tell when that was.
  if (info.unacked > 0 || (info.notsentBytes ?? 0) > 0) {
    return { ms: inFlightDetection(settings, info.rtt / 1_000), isExact: false }
  }
  const { enable, initialDelay, interval, count, userTimeout } = settings
  if (!enable) return { ms: Number.POSITIVE_INFINITY, isExact: true }
  const silence = silentFor(info)
  // A timer that is due before initialDelay of silence is set anew then, and sends nothing.
  const firing = Math.max(dueIn ?? 0, info.probes > 0 ? 0 : initialDelay - silence)
  const firingsAfter =
    userTimeout === 0
      ? count - info.probes
      : Math.max(info.probes > 0 ? 0 : 1, Math.ceil((userTimeout - silence - firing) / interval))
  return { ms: firing + interval * Math.max(0, firingsAfter), isExact: true }
}

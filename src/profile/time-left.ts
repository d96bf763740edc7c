import type { SystemDefaults } from '../kernel/defaults.js'
import type { SocketTimer } from '../kernel/sock-diag.js'
import { silentFor, type TcpInfo, TcpState } from '../kernel/tcp-info.js'
import {
  connectDetection,
  inFlightAtMost,
  type Retransmitting,
  type Settings,
  settingsOf,
} from './detection-time.js'
import type { Profile } from './profile.js'

export interface TimeLeft {
  /** ms; `Infinity`: nothing will ever end it. */
  readonly ms: number
  /** Whether it is that time, up to the slack of the kernel's timers; or else the most that it can be. */
  readonly isExact: boolean
  /** Sysctls that decide and could not be read in the connection's network namespace, with the values that were taken instead. */
  readonly assumed?: { readonly retries2?: number; readonly synLinearTimeouts?: number }
}

/** The timer of a socket that runs, and in how many ms it fires: as a record of `listSockets` has them. */
export interface RunningTimer {
  readonly timer: SocketTimer | undefined
  readonly expires: number | undefined
}

/**
 * When the kernel gives a connection up if its peer is never heard again. `undefined` for one that is neither open nor connecting. Pure.
 *
 * @param defaults the sysctls of the network namespace that the connection is in, where they could be read.
 */
export function timeLeft(
  info: TcpInfo,
  profile: Profile,
  running?: RunningTimer,
  defaults?: Partial<SystemDefaults>,
): TimeLeft | undefined {
  const settings = settingsOf(profile, defaults)
  if (info.state === TcpState.SYN_SENT) return untilNotConnected(info, settings, running, defaults)
  if (info.state !== TcpState.ESTABLISHED && info.state !== TcpState.CLOSE_WAIT) return undefined
  // The kernel counts from the first retransmission, and does not tell when that was.
  if (info.unacked > 0 || (info.notsentBytes ?? 0) > 0) {
    const ms = Math.round(inFlightAtMost(settings, info.rtt / 1_000, retransmitting(info, settings)))
    const isAssumed = settings.userTimeout === 0 && defaults?.retries2 === undefined
    return { ms, isExact: false, ...(isAssumed && { assumed: { retries2: settings.retries2 } }) }
  }
  if (!settings.enable) return { ms: Number.POSITIVE_INFINITY, isExact: true }
  return { ms: untilProbedInVain(info, settings, due('keepalive', running)), isExact: true }
}

function untilProbedInVain(
  info: TcpInfo,
  { initialDelay, interval, count, userTimeout }: Settings,
  dueIn = 0,
): number {
  const silence = silentFor(info)
  // A timer that is due before initialDelay of silence is set anew then, and sends nothing.
  const firing = Math.max(dueIn, info.probes > 0 ? 0 : initialDelay - silence)
  const firingsAfter =
    userTimeout === 0
      ? count - info.probes
      : Math.max(info.probes > 0 ? 0 : 1, Math.ceil((userTimeout - silence - firing) / interval))
  return firing + interval * Math.max(0, firingsAfter)
}

function untilNotConnected(
  info: TcpInfo,
  settings: Settings,
  running: RunningTimer | undefined,
  defaults: Partial<SystemDefaults> | undefined,
): TimeLeft {
  // A kernel that has no such sysctl, before Linux 6.5, has no such waits.
  const synLinearTimeouts = defaults ? (defaults.synLinearTimeouts ?? 0) : settings.synLinearTimeouts
  const { ends, sent, due: next } = connectDetection({ ...settings, synLinearTimeouts }, info.retransmits)
  const dueIn = due('retransmit', running)
  const ms = dueIn === undefined ? ends - sent : dueIn + Math.max(0, ends - next)
  return {
    ms: Math.max(0, ms),
    isExact: dueIn !== undefined,
    ...(!defaults && { assumed: { synLinearTimeouts } }),
  }
}

function due(timer: SocketTimer, running: RunningTimer | undefined): number | undefined {
  return running?.timer === timer ? running.expires : undefined
}

/**
 * The kernel doubles the timeout at each retransmission, up to `rtoMax`, unless an ICMP unreachable takes that back (RFC 6069). Probing a
 * closed window it does not.
 */
function retransmitting(
  { rto, backoff, retransmits: resent }: TcpInfo,
  { rtoMax }: Settings,
): Retransmitting {
  const ms = rto / 1_000
  if (resent === 0) return { rto: ms, resent }
  return { rto: ms < rtoMax && backoff >= resent ? ms / 2 ** backoff : undefined, resent }
}

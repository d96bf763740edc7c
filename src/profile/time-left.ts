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
  /** The time in ms. `Infinity`: the kernel never ends the connection. */
  readonly ms: number
  /** Whether `ms` is exact, up to the slack of the kernel's timers. If not, it is an upper bound. */
  readonly isExact: boolean
  /** Sysctls that matter but could not be read in the connection's network namespace, with the values used instead. */
  readonly assumed?: { readonly retries2?: number; readonly synLinearTimeouts?: number }
}

/** The running timer of a socket, and in how many ms it fires. A record of `listSockets` has both. */
export interface RunningTimer {
  readonly timer: SocketTimer | undefined
  readonly expires: number | undefined
}

/**
 * How long until the kernel ends a connection whose peer sends nothing more. `undefined` if the connection is neither open nor connecting. Pure.
 *
 * @param defaults the sysctls of the connection's network namespace. Left out if they cannot be read.
 */
export function timeLeft(
  info: TcpInfo,
  profile: Profile,
  running?: RunningTimer,
  defaults?: Partial<SystemDefaults>,
): TimeLeft | undefined {
  const settings = settingsOf(profile, defaults)
  if (info.state === TcpState.SYN_SENT) return connectTimeLeft(info, settings, running, defaults)
  if (info.state !== TcpState.ESTABLISHED && info.state !== TcpState.CLOSE_WAIT) return undefined
  // The kernel counts from the first retransmission. It does not report the time of that.
  if (info.unacked > 0 || (info.notsentBytes ?? 0) > 0) {
    const ms = Math.round(inFlightAtMost(settings, info.rtt / 1_000, retransmitting(info, settings)))
    const isAssumed = settings.userTimeout === 0 && defaults?.retries2 === undefined
    return { ms, isExact: false, ...(isAssumed && { assumed: { retries2: settings.retries2 } }) }
  }
  if (!settings.enable) return { ms: Number.POSITIVE_INFINITY, isExact: true }
  return { ms: idleTimeLeft(info, settings, due('keepalive', running)), isExact: true }
}

function idleTimeLeft(
  info: TcpInfo,
  { initialDelay, interval, count, userTimeout }: Settings,
  dueIn = 0,
): number {
  const silence = silentFor(info)
  // A timer that fires before the connection was idle for initialDelay sends no probe: the kernel sets it again.
  const firing = Math.max(dueIn, info.probes > 0 ? 0 : initialDelay - silence)
  const firingsAfter =
    userTimeout === 0
      ? count - info.probes
      : Math.max(info.probes > 0 ? 0 : 1, Math.ceil((userTimeout - silence - firing) / interval))
  return firing + interval * Math.max(0, firingsAfter)
}

function connectTimeLeft(
  info: TcpInfo,
  settings: Settings,
  running: RunningTimer | undefined,
  defaults: Partial<SystemDefaults> | undefined,
): TimeLeft {
  // Kernels before Linux 6.5 have neither the sysctl nor linear waits.
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
 * The kernel doubles the timeout at each retransmission, up to `rtoMax`. An ICMP unreachable undoes a doubling (RFC 6069). For probes of a
 * closed window `rto` stays the same.
 */
function retransmitting(
  { rto, backoff, retransmits: resent }: TcpInfo,
  { rtoMax }: Settings,
): Retransmitting {
  const ms = rto / 1_000
  if (resent === 0) return { rto: ms, resent }
  return { rto: ms < rtoMax && backoff >= resent ? ms / 2 ** backoff : undefined, resent }
}

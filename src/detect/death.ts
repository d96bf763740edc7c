import type { DeathReason } from '../errors.js'
import type { Sighting } from '../kernel/deathwatch.js'
import { isGivenUp, silentFor, type TcpInfo, TcpState } from '../kernel/tcp-info.js'
import type { FinalState } from '../socket/last-look.js'
import type { Profile } from '../socket/profile.js'
import { seconds, times } from './words.js'

// What a connection died of. All of it is a pure function of what the kernel left behind.

/**
 * What the deathwatch saw: a death; a peer that has closed its side, which is none; or nothing that is over.
 *
 * @param weClosed whether this side has closed, too.
 *
 * An error while the connection still stands is an ICMP message that `failOnIcmp` let through. Without that option it is
 * something else's (the error queue has time stamps, too).
 */
export function judgeSighting(
  sighting: Sighting,
  profile: Profile,
  weClosed: boolean,
): 'dead' | 'closing' | undefined {
  const { peerClosed, failed, state } = sighting
  if (state === TcpState.CLOSE) {
    if (failed || isGivenUp(sighting.info)) return 'dead'
    // Both sides have closed; or else Node has just taken the error, and is about to tell.
    return weClosed ? 'closing' : undefined
  }
  if (failed && profile.failOnIcmp) return 'dead'
  return peerClosed ? 'closing' : undefined
}

/** Whether it takes the connection's options to judge a sighting: not for a mere close, of which there are thousands for each death. */
export function needsOptions(sighting: Sighting): boolean {
  return sighting.failed || (sighting.state === TcpState.CLOSE && isGivenUp(sighting.info))
}

export interface Cause {
  readonly reason: DeathReason
  /** Why, in words. */
  readonly evidence: string
}

/** ECONNREFUSED: here it is an ICMP message, port unreachable. A peer's refusal comes while connecting. */
const unreachable: ReadonlySet<string> = new Set([
  'EACCES',
  'ECONNREFUSED',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'ENONET',
  'ENOPROTOOPT',
  'EOPNOTSUPP',
  'EPROTO',
])

/** EPIPE: a reset after the peer had closed its side. ECONNABORTED: this host ended it, by SOCK_DESTROY (`ss -K`). */
const reset: ReadonlySet<string> = new Set(['ECONNABORTED', 'ECONNRESET', 'EPIPE'])

/** Whether the kernel says by this errno that a connection is dead. */
export function isDeadly(errno: string): boolean {
  return errno === 'ETIMEDOUT' || reset.has(errno) || unreachable.has(errno)
}

/** Whether an error can be this connection's own: one that stands has had none, but for what `failOnIcmp` lets through. */
export function isOver({ info, profile }: FinalState, errno: string): boolean {
  return info.state === TcpState.CLOSE || (profile.failOnIcmp === true && unreachable.has(errno))
}

/**
 * The cause of a death.
 *
 * @param final `undefined` where the descriptor was closed before it could be read.
 * @param errno the kernel's error by name. `undefined` where it was left to Node.
 */
export function causeOf(final: FinalState | undefined, errno?: string): Cause {
  if (errno !== undefined && reset.has(errno)) return { reason: 'reset', evidence: resetWords(errno) }
  if (errno !== undefined && unreachable.has(errno)) {
    const silence = final ? `, ${silent(final.info)}` : ''
    return { reason: 'unreachable', evidence: `there is no way to the peer (${errno})${silence}` }
  }
  // Which of the three it was cannot be known then: keepalive is what ends idle connections.
  if (!final) return { reason: 'keepalive', evidence: `${errno ?? 'closed'}; the counters could not be read` }
  return causeByCounters(final, errno)
}

function causeByCounters({ info, profile }: FinalState, errno: string | undefined): Cause {
  const { state, probes, retransmits, notsentBytes = 0, rwndLimited = 0 } = info
  const { userTimeout = 0, count = 0 } = profile
  if (state !== TcpState.CLOSE) {
    return { reason: 'unreachable', evidence: `there is no way to the peer (failOnIcmp), ${silent(info)}` }
  }
  // Where there is a user timeout, the kernel looks at that alone (retransmits_timed_out, tcp_probe_timer).
  const inFlight: DeathReason = userTimeout > 0 ? 'user-timeout' : 'retransmission'
  if (retransmits > 0) {
    const evidence = `data unacknowledged after ${times(retransmits, 'retransmission')}`
    return { reason: inFlight, evidence: `${evidence}, ${silent(info)}` }
  }
  // A peer that is alive answers the probes of its window, so that none of them may be counted.
  const shut = errno === 'ETIMEDOUT' || (userTimeout > 0 && rwndLimited >= userTimeout * 1_000)
  if (notsentBytes > 0 && (probes > 0 || shut)) {
    const why = info.sndWnd === 0 ? 'waiting behind a closed window' : 'that could not be sent'
    const waiting = `${times(notsentBytes, 'byte')} ${why}`
    return { reason: inFlight, evidence: `${waiting}, ${times(probes, 'probe')} unanswered, ${silent(info)}` }
  }
  if (probes > 0) {
    const cutShort = userTimeout > 0 && probes < count
    return {
      reason: cutShort ? 'user-timeout' : 'keepalive',
      evidence: `${times(probes, 'probe')} unanswered, ${silent(info)}`,
    }
  }
  return errno === 'ETIMEDOUT'
    ? { reason: inFlight, evidence: `${errno}, ${silent(info)}` }
    : { reason: 'reset', evidence: 'reset, with nothing unanswered' }
}

function resetWords(errno: string): string {
  return errno === 'ECONNABORTED' ? 'this host ended it (ECONNABORTED)' : `reset by the peer (${errno})`
}

function silent(info: TcpInfo): string {
  return `silent for ${seconds(silentFor(info))}`
}

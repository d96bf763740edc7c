import type { FinalState } from '../connection/close-snapshot.js'
import type { DeathReason } from '../errors.js'
import { seconds, times } from '../format.js'
import type { KernelEvent as Sighting } from '../kernel/deathwatch.js'
import { isGivenUp, silentFor, type TcpInfo, TcpState } from '../kernel/tcp-info.js'
import type { Profile } from '../profile/profile.js'

// What a connection died of. All of it is a pure function of what the kernel left behind.

/** How far both sides had come when the kernel reported something, and whether Node gets an error by itself. */
export interface Progress {
  /** The peer has closed its side: its FIN has arrived, or the TLS stream has been read to its end. */
  readonly peerEnded: boolean
  /** The program has ended its side. */
  readonly weEnded: boolean
  /** Node reads the descriptor. */
  readonly isReading: boolean
  /** Node has something to write to the descriptor. */
  readonly isWriting: boolean
}

/**
 * What the kernel's report means. `dead`: the peer is gone. `closing`: the peer has closed its side. `left-to-node`: a reset that Node is
 * about to find, and reports where it is an error for the program. `unclear`: a reset or a timeout after the peer had closed its
 * side; `SO_ERROR` tells which. `undefined`: nothing to report.
 */
export type Judgement = 'dead' | 'closing' | 'left-to-node' | 'unclear' | undefined

/**
 * Judges what the deathwatch saw.
 *
 * A reset after both sides have finished is no death: a TLS peer that closes without waiting for our close_notify resets the connection
 * when that arrives. Where Node uses the descriptor, Node decides whether a reset is an error. That leaves the resets that Node cannot
 * see, on paused and on half-open sockets. A timeout is a death in any case.
 *
 * An error while the connection still stands is an ICMP message that `failOnIcmp` let through. Without that option it is
 * something else's (the error queue has time stamps, too).
 */
export function judgeSighting(sighting: Sighting, profile: Profile, progress: Progress): Judgement {
  const { peerClosed, failed, state } = sighting
  const { peerEnded, weEnded, isReading, isWriting } = progress
  if (state !== TcpState.CLOSE) {
    if (failed && profile.failOnIcmp) return 'dead'
    return peerClosed ? 'closing' : undefined
  }
  const givenUp = isGivenUp(sighting.info)
  if (!failed && !givenUp) {
    // Both sides have closed; or else Node has just taken the error, and is about to report it.
    return weEnded ? 'closing' : undefined
  }
  // After a FIN Node reads the end of the stream, and no error.
  if (peerEnded) return isWriting ? undefined : 'unclear'
  if (givenUp) return 'dead'
  return isReading || isWriting ? 'left-to-node' : 'dead'
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

/** Whether the kernel ends a connection with this errno. */
export function isDeadly(errno: string): boolean {
  return isReset(errno) || isTimeout(errno)
}

/** Whether the peer, or this host, broke the connection off. */
export function isReset(errno: string): boolean {
  return reset.has(errno)
}

/** Whether the kernel gave the peer up: no answer in time, or no way to it. */
export function isTimeout(errno: string): boolean {
  return errno === 'ETIMEDOUT' || unreachable.has(errno)
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

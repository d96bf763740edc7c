import type { FinalState } from '../connection/close-snapshot.js'
import { type DeathReason, PeerDeathError } from '../errors.js'
import { seconds, times } from '../format.js'
import type { KernelEvent } from '../kernel/deathwatch.js'
import { isGivenUp, silentFor, type TcpInfo, TcpState } from '../kernel/tcp-info.js'
import type { Profile } from '../profile/profile.js'

// Finds the cause of a death from the kernel's report. All functions are pure.

/** How far both sides had closed when the kernel reported an event, and whether Node will find the error. */
export interface Progress {
  /** The peer has closed its side: its FIN has arrived, or the TLS stream has been read to its end. */
  readonly peerEnded: boolean
  /** The program has ended its side. */
  readonly weEnded: boolean
  /** Node reads the descriptor. */
  readonly isReading: boolean
  /** Node has data to write to the descriptor. */
  readonly isWriting: boolean
}

/**
 * The meaning of a kernel event. `dead`: the peer is gone. `closing`: the peer has closed its side. `left-to-node`: a reset that Node is
 * about to find; Node reports it if it is an error for the program. `unclear`: a reset or a timeout after the peer had closed its
 * side; `SO_ERROR` shows which. `undefined`: nothing to report.
 */
export type Judgement = 'dead' | 'closing' | 'left-to-node' | 'unclear' | undefined

/**
 * Judges a kernel event.
 *
 * A reset after both sides have ended is not a death. If a TLS peer closes without waiting for our close_notify, it resets the connection when that
 * arrives. If Node uses the descriptor, Node decides whether a reset is an error. So this judges only resets that Node does not notice, on paused and
 * on half-open sockets. A timeout is always a death.
 *
 * An error on a connection that is still open is an ICMP message that `failOnIcmp` let through. Without that option it is another kind of
 * message on the error queue, such as a time stamp.
 */
export function judgeKernelEvent(event: KernelEvent, profile: Profile, progress: Progress): Judgement {
  const { peerClosed, failed, state } = event
  const { peerEnded, weEnded, isReading, isWriting } = progress
  if (state !== TcpState.CLOSE) {
    if (failed && profile.failOnIcmp) return 'dead'
    return peerClosed ? 'closing' : undefined
  }
  const givenUp = isGivenUp(event.info)
  if (!failed && !givenUp) {
    // If we have not ended our side, Node has just taken the error and is about to report it.
    return weEnded ? 'closing' : undefined
  }
  // After a FIN, Node reads the end of the stream and no error.
  if (peerEnded) return isWriting ? undefined : 'unclear'
  if (givenUp) return 'dead'
  return isReading || isWriting ? 'left-to-node' : 'dead'
}

/** Whether the connection's options are needed to judge an event. They are not for an orderly close, by far the most frequent event. */
export function needsOptions(event: KernelEvent): boolean {
  return event.failed || (event.state === TcpState.CLOSE && isGivenUp(event.info))
}

/** A death that was found, before `onDead` runs. */
export interface FoundDeath {
  readonly detectedBy: 'kernel' | 'heartbeat' | 'node'
  readonly error: PeerDeathError<TcpInfo>
}

/** Makes a death. The parameters are those of {@link causeOf}, and Node's own error. */
export function foundDeath(
  detectedBy: FoundDeath['detectedBy'],
  final: FinalState | undefined,
  errno?: string,
  cause?: Error,
): FoundDeath {
  const { reason, evidence } = causeOf(final, errno)
  return { detectedBy, error: new PeerDeathError(reason, evidence, final?.info, cause && { cause }) }
}

export interface Cause {
  readonly reason: DeathReason
  /** The evidence, in words. */
  readonly evidence: string
}

/** ECONNREFUSED means ICMP port unreachable here, because a peer can refuse only a connection attempt. */
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

/** EPIPE: a reset after the peer had closed its side. ECONNABORTED: this host ended the connection by SOCK_DESTROY (`ss -K`). */
const reset: ReadonlySet<string> = new Set(['ECONNABORTED', 'ECONNRESET', 'EPIPE'])

/** Whether the kernel ends a connection with this errno. */
export function isDeadly(errno: string): boolean {
  return isReset(errno) || isTimeout(errno)
}

/** Whether the peer, or this host, reset the connection. */
export function isReset(errno: string): boolean {
  return reset.has(errno)
}

/** Whether the kernel gave the connection up: no answer in time, or no route to the peer. */
export function isTimeout(errno: string): boolean {
  return errno === 'ETIMEDOUT' || unreachable.has(errno)
}

/** Whether an error can be this connection's own. An open connection has none, except one that `failOnIcmp` let through. */
export function isOver({ info, profile }: FinalState, errno: string): boolean {
  return info.state === TcpState.CLOSE || (profile.failOnIcmp === true && unreachable.has(errno))
}

/**
 * The cause of a death.
 *
 * @param final `undefined` if the descriptor was closed before it could be read.
 * @param errno the kernel's error by name. `undefined` if it was left to Node.
 */
export function causeOf(final: FinalState | undefined, errno?: string): Cause {
  if (errno !== undefined && reset.has(errno)) return { reason: 'reset', evidence: resetWords(errno) }
  if (errno !== undefined && unreachable.has(errno)) {
    const silence = final ? `, ${silent(final.info)}` : ''
    return { reason: 'unreachable', evidence: `peer unreachable (${errno})${silence}` }
  }
  // Without the counters the three causes of a timeout look the same. Assume keepalive, the cause for idle connections.
  if (!final) return { reason: 'keepalive', evidence: `${errno ?? 'closed'}; the counters could not be read` }
  return causeByCounters(final, errno)
}

function causeByCounters({ info, profile }: FinalState, errno: string | undefined): Cause {
  const { state, probes, retransmits, notsentBytes = 0, rwndLimited = 0 } = info
  const { userTimeout = 0, count = 0 } = profile
  if (state !== TcpState.CLOSE) {
    return { reason: 'unreachable', evidence: `peer unreachable (failOnIcmp), ${silent(info)}` }
  }
  // With a user timeout, the kernel checks no other limit (retransmits_timed_out, tcp_probe_timer).
  const inFlight: DeathReason = userTimeout > 0 ? 'user-timeout' : 'retransmission'
  if (retransmits > 0) {
    const evidence = `data unacknowledged after ${times(retransmits, 'retransmission')}`
    return { reason: inFlight, evidence: `${evidence}, ${silent(info)}` }
  }
  // A live peer acknowledges window probes, so `probes` can be 0.
  const windowClosed = errno === 'ETIMEDOUT' || (userTimeout > 0 && rwndLimited >= userTimeout * 1_000)
  if (notsentBytes > 0 && (probes > 0 || windowClosed)) {
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
    : { reason: 'reset', evidence: 'reset while no probe or data was unacknowledged' }
}

function resetWords(errno: string): string {
  return errno === 'ECONNABORTED' ? 'this host ended it (ECONNABORTED)' : `reset by the peer (${errno})`
}

function silent(info: TcpInfo): string {
  return `silent for ${seconds(silentFor(info))}`
}

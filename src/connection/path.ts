import type { NativeCore } from '../kernel/binding.js'
import type { Keepalive, Sample } from '../kernel/liveness.js'
import { sharedState } from '../kernel/shared-state.js'
import { TcpState } from '../kernel/tcp-info.js'
import { destinationState, endName, isThisHost, noteDestination, type PathState } from './destinations.js'
import { readDescriptorEndpoints } from './endpoints.js'

// Learns whether the path of a connection acknowledges keepalive probes. Some paths pass data and no probes: AWS Global Accelerator, Docker
// Desktop for macOS. On such a path unacknowledged probes prove nothing. So a verdict requires a path that has passed a probe before.

/** Two readings of one time may differ by this, in ms: a few ticks of the kernel. */
export const SAME = 25

/** How often it is recorded again that connections to a destination answer, ms. */
const RENEWAL = 60_000

interface Place {
  /** Remote address and port; `undefined` for an accepted connection. */
  readonly destination: string | undefined
  readonly isThisHost: boolean
  /** Both ends. */
  readonly pair: string
}

/**
 * The steps of the proof that a path is deaf. An outage of a radio network looks the same at first, so all steps are needed. An acknowledged probe
 * resets the proof.
 *
 * 1. As many probes as a verdict needs were unanswered.
 * 2. The peer was heard after that, by data or by an ACK of data.
 * 3. Then probes were unanswered again.
 *
 * If the peer is then heard once more, the path is deaf.
 */
type Step = 0 | 1 | 2 | 3

/** The state of one connection's path. Times in ms, on the clock of the samples. */
export class ConnectionPath {
  /** What this connection itself has shown. It overrides what its destination has shown. */
  #shown: PathState = 'unproven'
  #step: Step = 0
  /** The times when probes were last unanswered: when the peer had last been heard, and when data had last been sent or received. */
  #heardAt = Number.NaN
  #dataAt = Number.NaN
  #renewedAt = Number.NEGATIVE_INFINITY
  #place: Place | undefined
  readonly #isOutgoing: boolean

  /** @param isOutgoing whether this side opened the connection. Only outgoing connections share what they have shown. */
  constructor(isOutgoing: boolean) {
    this.#isOutgoing = isOutgoing
  }

  /** Reads both addresses at the first call, unless this connection itself has shown the state. */
  state(core: NativeCore, fd: number): PathState {
    if (this.#shown !== 'unproven') return this.#shown
    const place = this.#placeOf(core, fd)
    if (!place) return 'unproven'
    const marked = marks().get(place.pair)
    if (marked !== undefined) return marked
    if (place.isThisHost) return 'answers'
    return place.destination === undefined
      ? 'unproven'
      : destinationState(place.destination, performance.now())
  }

  /** Records that the peer acknowledged a probe. */
  answered(core: NativeCore, fd: number, { sampledAt }: Sample): void {
    this.#step = 0
    if (this.#shown === 'answers' && sampledAt - this.#renewedAt < RENEWAL) return
    this.#renewedAt = sampledAt
    this.#show('answers', core, fd)
  }

  /** Records that as many probes as a verdict needs were unanswered. */
  unanswered({ heardAt, dataAt }: Sample): void {
    this.#heardAt = heardAt
    this.#dataAt = dataAt
    if (this.#step === 0 || this.#step === 2) this.#step++
  }

  /** Records whether data was received, or sent and acknowledged, after probes were unanswered. */
  observe(core: NativeCore, fd: number, { heardAt, dataAt, unacked }: Sample): void {
    if (this.#step !== 1 && this.#step !== 3) return
    const isData = dataAt > this.#dataAt + SAME && heardAt > this.#heardAt + SAME
    if (!isData || unacked > 0) return
    if (this.#step === 1) this.#step = 2
    else this.deaf(core, fd)
  }

  /** Records that the peer acknowledged data and no probe. */
  deaf(core: NativeCore, fd: number): void {
    this.#step = 0
    this.#show('deaf', core, fd)
  }

  #show(state: 'answers' | 'deaf', core: NativeCore, fd: number): void {
    this.#shown = state
    const destination = this.#isOutgoing ? this.#placeOf(core, fd)?.destination : undefined
    if (destination !== undefined) noteDestination(destination, state, performance.now())
  }

  #placeOf(core: NativeCore, fd: number): Place | undefined {
    if (this.#place) return this.#place
    const ends = readDescriptorEndpoints(core, fd)
    if (!ends) return undefined
    const remote = endName(ends.remote)
    this.#place = {
      destination: this.#isOutgoing ? remote : undefined,
      isThisHost: isThisHost(ends),
      pair: `${endName(ends.local)} ${remote}`,
    }
    return this.#place
  }
}

/** Whether the peer's last segment came after all data, so that it acknowledged a probe. */
export function isAckOnly({ heardAt, dataAt, unacked }: Sample): boolean {
  return unacked === 0 && heardAt > dataAt + SAME
}

/**
 * Whether the counters show that the peer has acknowledged a probe of the connection's own keepalive: its last segment came at least `initialDelay`
 * after the last data. A peer that reads much data late sends an ACK too, so shorter times prove nothing.
 */
export function showsAnsweredProbe(
  { state, unacked, heardAt, dataAt }: Pick<Sample, 'state' | 'unacked' | 'heardAt' | 'dataAt'>,
  { enable = false, initialDelay = 0 }: Partial<Keepalive>,
): boolean {
  if (!enable || initialDelay === 0 || state !== TcpState.ESTABLISHED || unacked > 0) return false
  return heardAt - dataAt >= initialDelay - SAME
}

/** The states that `deadpeer/testing` sets for connections whose peers it changes, by both ends. */
const marks = sharedState('pathMarks', () => new Map<string, PathState>())
const MOST_MARKS = 10_000

/** Marks the connection that a peer's socket belongs to, as the other end sees it. `undefined` removes the mark. */
export function markPath(core: NativeCore, peerFd: number, state: PathState | undefined): void {
  const ends = readDescriptorEndpoints(core, peerFd)
  if (!ends) return
  const pair = `${endName(ends.remote)} ${endName(ends.local)}`
  marks().delete(pair)
  if (state === undefined) return
  marks().set(pair, state)
  if (marks().size > MOST_MARKS) marks().delete(marks().keys().next().value!)
}

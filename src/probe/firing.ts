import { findRecordOfHandle, recordOfHandle } from '../connection/record.js'
import type { Handle } from '../connection/target.js'
import type { Keepalive, Sample } from '../kernel/liveness.js'
import {
  clockAfter,
  clockAfterStop,
  clockFrom,
  clockFromTimer,
  type KeepaliveClock,
} from '../overlay/clock.js'
import {
  baseOf,
  endBeating,
  type Overlay,
  overlayFor,
  overlayOf,
  releaseOverlay,
} from '../overlay/overlay.js'
import { isOpen, silenceOf } from './evidence.js'

/** Makes the kernel send the probes of one session. It sets this session's reasons in the connection's overlay. */
export class Firing {
  /** Ms until the kernel's keepalive timer fires; undefined if the timer was not read for this step. */
  timer: number | undefined
  readonly #cookie: bigint
  readonly #handle: Handle | undefined
  #isOverlaid: boolean
  #probesBefore = 0

  constructor(cookie: bigint, handle: Handle | undefined) {
    this.#cookie = cookie
    this.#handle = handle
    // This session also restores the options that a heartbeat has left in force.
    const { beating, clock } = this.overlay ?? {}
    this.#isOverlaid = beating !== undefined || clock !== undefined
  }

  get overlay(): Overlay | undefined {
    return overlayOf(this.#cookie)
  }

  /** Whether the options in force differ, or may differ, from the owner's because of this session. */
  get isOverlaid(): boolean {
    return this.#isOverlaid
  }

  /** Whether probes of this session may be unanswered. */
  get isUnanswered(): boolean {
    return this.#isOverlaid && this.overlay?.clock !== undefined
  }

  /** The options that would be in force without probes. */
  ownOf(options: Keepalive): Keepalive {
    return this.overlay ? baseOf(this.overlay) : options
  }

  /** When the connection's own keepalive timer is due. */
  clockOf(sample: Sample, own: Keepalive): KeepaliveClock {
    const known = this.overlay?.clock
    if (known) return known
    return this.#isTimerKnown(own, sample) ? clockFrom(own) : clockFromTimer(sample, own, this.timer)
  }

  /** Whether the timer has to be read before the first probe. */
  needsTimer(options: Keepalive, sample: Sample): boolean {
    return !this.overlay?.clock && !this.#isTimerKnown(options, sample)
  }

  /** Plans a probe. The kernel sends it once the options are written. */
  begin(options: Keepalive, clock: KeepaliveClock, sample: Sample): void {
    const overlay = overlayFor(this.#cookie, options)
    overlay.clock = clock
    overlay.isFiring = true
    overlay.unanswered++
    this.#isOverlaid = true
    this.#probesBefore = sample.probes
  }

  /** How many probes have left since {@link begin}; more than one if this process was stopped. */
  left({ probes }: Sample): number {
    return probes - this.#probesBefore
  }

  /** Records that the probe has left, and that the timer has fired `times` more times. */
  hasLeft(times: number, sample: Sample): void {
    const overlay = this.overlay!
    overlay.isFiring = false
    if (times > 0 && overlay.clock && baseOf(overlay).enable) {
      overlay.clock = this.#clockAfterStop(overlay, overlay.clock, times, sample)
    }
  }

  /** Records that the kernel has not sent the probe and will not send it. Returns whether other probes are unanswered. */
  hasNotLeft(): boolean {
    const { overlay } = this
    if (overlay?.isFiring) {
      overlay.isFiring = false
      overlay.unanswered--
    }
    return overlay !== undefined && overlay.unanswered > 0
  }

  /**
   * Takes over from a heartbeat whose probes the kernel sends. Returns how many probes are unanswered, and how long ago the last one was
   * sent, in ms. That is 0 if the kernel does not report the timer.
   */
  takeOver(sample: Sample): { readonly probes: number; readonly ago: number } | undefined {
    const { overlay } = this
    if (overlay?.beating === undefined) return undefined
    endBeating(overlay, sample)
    this.#isOverlaid = true
    const { interval } = overlay.inForce
    // Probes from before the peer was last heard may still be counted, and are not attempts.
    const { sent } = clockAfter(overlay.inForce, silenceOf(sample))
    return { probes: Math.min(sample.probes, sent), ago: Math.max(0, interval - (this.timer ?? interval)) }
  }

  /**
   * The peer was heard. Usually no probe of this session is unanswered then, and its reasons end. Returns `true` if the kernel still counts
   * unanswered probes, which has two causes:
   *
   * - The peer's segment took the kernel's fast path (tcp_rcv_established), which skips tcp_ack if nothing new is acknowledged. Earlier
   *   probes still count.
   * - This process was stopped, and the timer, still set to fire, has fired since the peer was heard.
   */
  afterHeard(sample: Sample): boolean {
    const { overlay } = this
    const isCounted = overlay?.clock !== undefined && overlay.unanswered > 0 && sample.probes > 0
    if (!isCounted || !baseOf(overlay).enable || !isOpen(sample.state)) {
      this.end()
      return false
    }
    const own = baseOf(overlay)
    // A timer that is set to fire does so once before the connection's own timer is due.
    overlay.unanswered = Math.min(overlay.unanswered + Number(overlay.isFiring), sample.probes)
    const others = sample.probes - overlay.unanswered
    const hasFired = overlay.isFiring && others > 0 && silenceOf(sample) >= own.initialDelay
    const clock = clockFrom(own)
    overlay.clock = hasFired
      ? this.#clockAfterStop(overlay, clock, others, sample)
      : { ...clock, sent: others }
    overlay.isFiring = false
    return true
  }

  /** Ends this session's reasons. The next step restores all options. */
  end(): void {
    if (!this.overlay || !this.#isOverlaid) return
    Object.assign(this.overlay, { clock: undefined, unanswered: 0, isFiring: false, beating: undefined })
  }

  /** Records that the connection's own options are restored and TCP_KEEPIDLE was just written. */
  restored({ enable }: Keepalive): void {
    if (this.#handle) recordOfHandle(this.#handle).isTimerKnown = enable
    this.drop()
  }

  /** Forgets the reasons without writing options. */
  drop(): void {
    if (this.overlay && this.#isOverlaid) releaseOverlay(this.overlay)
    this.#isOverlaid = false
  }

  /** Whether the keepalive timer is known to be set to `initialDelay`. An overdue timer is not: other code has moved it. */
  #isTimerKnown({ enable, initialDelay, interval }: Keepalive, sample: Sample): boolean {
    if (!enable || interval > initialDelay || silenceOf(sample) >= initialDelay) return false
    return findRecordOfHandle(this.#handle)?.isTimerKnown === true
  }

  #clockAfterStop(overlay: Overlay, clock: KeepaliveClock, times: number, sample: Sample): KeepaliveClock {
    return clockAfterStop(clock, baseOf(overlay), overlay.inForce, times, silenceOf(sample), this.timer)
  }
}

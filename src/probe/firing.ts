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

/** How one session makes the kernel send probes: its reasons in the overlay of the connection. */
export class Firing {
  /** In how many ms the kernel's keepalive timer is due, if it was read for this step. */
  timer: number | undefined
  readonly #cookie: bigint
  readonly #handle: Handle | undefined
  #isOverlaid: boolean
  #probesBefore = 0

  constructor(cookie: bigint, handle: Handle | undefined) {
    this.#cookie = cookie
    this.#handle = handle
    // What a heartbeat has left in force is this session's to put back.
    const { beating, clock } = this.overlay ?? {}
    this.#isOverlaid = beating !== undefined || clock !== undefined
  }

  get overlay(): Overlay | undefined {
    return overlayOf(this.#cookie)
  }

  /** Whether options in force are, or may be, other than the owner's because of this session. */
  get isOverlaid(): boolean {
    return this.#isOverlaid
  }

  /** Whether probes of this session may be unanswered. */
  get isUnanswered(): boolean {
    return this.#isOverlaid && this.overlay?.clock !== undefined
  }

  /** What the connection would have in force without probes. */
  ownOf(options: Keepalive): Keepalive {
    return this.overlay ? baseOf(this.overlay) : options
  }

  /** Where the connection's own timer stands. */
  clockOf(sample: Sample, own: Keepalive): KeepaliveClock {
    const known = this.overlay?.clock
    if (known) return known
    return this.#isTimerKnown(own, sample) ? clockFrom(own) : clockFromTimer(sample, own, this.timer)
  }

  /** Whether the timer has to be read before the first probe. */
  needsTimer(options: Keepalive, sample: Sample): boolean {
    return !this.overlay?.clock && !this.#isTimerKnown(options, sample)
  }

  /** Has the kernel send a probe, once the options are written. */
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

  /** The probe has left, and the timer has fired `times` more. */
  hasLeft(times: number, sample: Sample): void {
    const overlay = this.overlay!
    overlay.isFiring = false
    if (times > 0 && overlay.clock && baseOf(overlay).enable) {
      overlay.clock = this.#clockAfterStop(overlay, overlay.clock, times, sample)
    }
  }

  /** The kernel has not sent the probe, and will not. Returns whether others are unanswered. */
  hasNotLeft(): boolean {
    const { overlay } = this
    if (overlay?.isFiring) {
      overlay.isFiring = false
      overlay.unanswered--
    }
    return overlay !== undefined && overlay.unanswered > 0
  }

  /**
   * Takes over from a heartbeat whose probes the kernel sends. Returns how many are unanswered, and how long ago the last was sent, in ms: if the
   * timer is not told, just now.
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
   * The peer was heard. Nothing of this session is unanswered then, and its reasons end, unless probes are counted all the same. Either the
   * peer said something that took the kernel's short way, which does not look for what is acknowledged (tcp_rcv_established): then those
   * from before still count. Or this process was stopped, and the timer, still set to fire, has fired since. Returns whether they count.
   */
  afterHeard(sample: Sample): boolean {
    const { overlay } = this
    const isCounted = overlay?.clock !== undefined && overlay.unanswered > 0 && sample.probes > 0
    if (!isCounted || !baseOf(overlay).enable || !isOpen(sample.state)) {
      this.end()
      return false
    }
    const own = baseOf(overlay)
    // Set to fire, the timer fires once before the connection's own is due.
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

  /** All options are to go back at the next opportunity. */
  end(): void {
    if (!this.overlay || !this.#isOverlaid) return
    Object.assign(this.overlay, { clock: undefined, unanswered: 0, isFiring: false, beating: undefined })
  }

  /** The connection's own options are back, with TCP_KEEPIDLE just written. */
  restored({ enable }: Keepalive): void {
    if (this.#handle) recordOfHandle(this.#handle).isTimerKnown = enable
    this.drop()
  }

  /** Forgets the reasons, whatever is in force. */
  drop(): void {
    if (this.overlay && this.#isOverlaid) releaseOverlay(this.overlay)
    this.#isOverlaid = false
  }

  /** A timer that should have fired by then and has not was moved by somebody else. */
  #isTimerKnown({ enable, initialDelay, interval }: Keepalive, sample: Sample): boolean {
    if (!enable || interval > initialDelay || silenceOf(sample) >= initialDelay) return false
    return findRecordOfHandle(this.#handle)?.isTimerKnown === true
  }

  #clockAfterStop(overlay: Overlay, clock: KeepaliveClock, times: number, sample: Sample): KeepaliveClock {
    return clockAfterStop(clock, baseOf(overlay), overlay.inForce, times, silenceOf(sample), this.timer)
  }
}

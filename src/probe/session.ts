import { recordOfHandle } from '../connection/record.js'
import type { NativeCore } from '../kernel/binding.js'
import { descriptorError, isShortage } from '../kernel/failure.js'
import type { Keepalive, Sample, SampleWithOptions } from '../kernel/liveness.js'
import type { KeepaliveClock } from '../overlay/clock.js'
import type { Keyed } from '../overlay/cookie-map.js'
import { baseOf, isInForce, type Overlay, type Reconciled, sameKeepalive } from '../overlay/overlay.js'
import { isUnderWay } from '../overlay/plan.js'
import { Attempts } from './attempts.js'
import { isImminent, isOpen, type Prober, proberOf, RECENT, silenceOf } from './evidence.js'
import { Firing } from './firing.js'
import { PathProof } from './path-proof.js'
import type { ProbeResult } from './result.js'
import { SamplingSchedule } from './sampling-schedule.js'
import { isClosed, type Subject } from './subject.js'
import { awaitConfirmation, type Waiter, Waiters } from './waiters.js'

/**
 * - `queued`: waits for its turn to probe.
 * - `firing`: the kernel will send the probe at its next tick.
 * - `awaiting`: the probe has left; its answer has not come yet.
 * - `observing`: the kernel's own timers probe or retransmit.
 * - `restoring`: no waiter is left; options that compensate for unanswered probes stay in force until the peer is heard or the connection ends.
 * - `over`
 */
type Phase = 'queued' | 'firing' | 'awaiting' | 'observing' | 'restoring' | 'over'

/** The longest time between two samples, ms; longer in the phase `restoring`. */
const LONGEST_WAIT = 64
const LONGEST_RESTORING_WAIT = 1_000
/** A raised userTimeout also applies to data, so it is restored soon after data is sent. */
const LONGEST_USER_TIMEOUT_WAIT = 200

/** A timer that has not fired after this time, in ms, will not fire. The timer of a busy socket is 50 ms late. */
const MUST_HAVE_LEFT = 250

/** An answer moves the time of the last segment by more than this, in ms, because the peer was idle for at least a second before the probe. */
const LEAST_DIFFERENCE = 500

/** The most unanswered probes that the kernel may count on a path that is not known to answer. At 127, the kernel ends any connection. */
const MOST_COUNTED = 100

/**
 * How often a forbidden restore is tried. If a restore fails for lack of resources, it is tried until it succeeds, because such a lack is temporary.
 */
const MOST_REFUSALS = 5

/** The probing of one connection. Concurrent probes of the connection share it. */
export class ProbeSession implements Reconciled, Keyed<ProbeSession> {
  nextInBucket: ProbeSession | undefined
  phase: Phase = 'queued'
  /** Whether it counts towards MOST_LEAVING (sessions.ts): its probe is not known to have left. */
  isLeaving = false
  /** Cancels the task for the end of the process. */
  release?: () => void
  /** The descriptor, valid during a step. */
  fd = -1
  readonly schedule = new SamplingSchedule()
  readonly cookie: bigint
  readonly firing: Firing
  readonly #path: PathProof

  readonly #waiters = new Waiters()
  readonly #attempts = new Attempts()
  /** When the peer was last heard, on the kernel's clock. */
  #heardAt: number | undefined
  #isEnding = false
  /** How often reading the connection, or restoring its options, was not permitted. */
  #refusals = 0

  constructor(
    core: NativeCore,
    readonly subject: Subject,
  ) {
    this.#path = new PathProof(core, subject, () => this.fd)
    this.cookie = subject.cookie
    this.firing = new Firing(subject.cookie, subject.handle)
  }

  get overlay(): Overlay | undefined {
    return this.firing.overlay
  }

  get isCertain(): boolean {
    return this.subject.handle !== undefined
  }

  get isAwaited(): boolean {
    return !this.#waiters.isEmpty
  }

  get holdsProcess(): boolean {
    return this.#waiters.holdsProcess
  }

  join(waiter: Waiter): void {
    this.#waiters.join(waiter)
    if (this.phase !== 'restoring') return
    // The next attempt keeps the least gap to the last attempt of the previous probe.
    this.phase = 'awaiting'
    this.schedule.due = 0
    this.#attempts.restart()
    this.#isEnding = false
  }

  /** Whether the kernel's keepalive timer must be read to interpret a sample. */
  needsTimer({ sample, options }: SampleWithOptions): boolean {
    if (this.overlay?.beating !== undefined) return sample.probes > 0
    if (!this.firing.ownOf(options).enable || !isOpen(sample.state)) return false
    // Read it before the probe, and if the timer has fired more than once because this process was stopped.
    if (this.phase === 'firing') {
      return this.#isHeard(sample) ? sample.probes > 1 : this.firing.left(sample) > 1
    }
    return this.phase === 'queued' && this.firing.needsTimer(options, sample)
  }

  /**
   * Takes a sample without the options. Returns `reconcile` if options must be written, which requires reading them too, and `fire` if this
   * session needs a turn to probe.
   */
  observeSample(sample: Sample, now: number): 'reconcile' | 'fire' | undefined {
    if (!isOpen(sample.state) || this.#isHeard(sample) || this.#isAnswered(sample)) return 'reconcile'
    const { overlay } = this
    if (overlay && !isInForce(overlay, sample)) return 'reconcile'
    const isConfirming = this.#waiters.isConfirming && this.#attempts.prober !== 'retransmission'
    if ((this.phase === 'awaiting' || isConfirming) && isUnderWay(sample)) {
      this.#observeProber(proberOf(sample, false, 0), sample, now)
    }
    this.#waiters.setDeadlines(sample, now, this.#attempts.kernelProbesBy)
    if (this.phase === 'observing' || this.phase === 'awaiting') this.#judge(sample, now)
    if (this.#waiters.waiting.length === 0) {
      if (this.phase !== 'restoring') this.#restore()
      // The options in force are already the connection's own, so nothing has to be written.
      if (this.subject.borrowed && overlay) this.written(overlay.inForce)
    }
    const nextAttempt = this.phase === 'awaiting' ? this.#nextAttempt(sample) : Number.POSITIVE_INFINITY
    if (now >= nextAttempt) {
      this.phase = 'queued'
      return 'fire'
    }
    this.#sampleAgain(sample, now, nextAttempt)
    if (this.phase === 'restoring' && !this.firing.isOverlaid && now >= this.#attempts.mayProbeAt)
      this.phase = 'over'
    return undefined
  }

  observe({ sample, options }: SampleWithOptions): boolean {
    const now = performance.now()
    const wasQueued = this.phase === 'queued'
    const taken = this.firing.takeOver(sample)
    if (taken && taken.probes > 0) this.#attempts.takeOver(taken.probes, now - taken.ago)
    if (!isOpen(sample.state)) this.#end(this.#attempts.closed(sample), sample)
    else if (this.#isHeard(sample)) {
      this.#waiters.recall()
      this.#end(this.#path.answer(this.#attempts, sample, this.#waiters.isConfirming), sample)
    } else if (silenceOf(sample) < RECENT) {
      this.#end(this.#path.recent(sample, silenceOf(sample)), sample)
    } else if (this.#isAnswered(sample)) {
      this.firing.end()
      this.#restore()
    } else {
      if (this.#heardAt === undefined) this.#path.begin(sample)
      this.#heardAt ??= sample.heardAt
      this.#waiters.setDeadlines(sample, now, this.#attempts.kernelProbesBy)
      if (wasQueued) this.#decide(sample, options, now)
      else if (this.phase === 'firing') this.#hasItLeft(sample, now)
      this.#sampleAgain(sample, now)
    }
    const { handle } = this.subject
    if (handle && isOpen(sample.state)) recordOfHandle(handle).heardAt = sample.heardAt
    return wasQueued && this.phase === 'firing'
  }

  written(options: Keepalive): void {
    const { overlay } = this
    if (!overlay || !this.firing.isOverlaid) return
    const { isFiring, clock, unanswered } = overlay
    if (isFiring || !sameKeepalive(options, baseOf(overlay))) return
    // Keeps the overlay while a probe is unanswered, even if the connection's own options would do. The program may write others that end the
    // connection too early.
    const isNeeded = !this.subject.borrowed || this.#waiters.waiting.length > 0
    if (clock && unanswered > 0 && options.enable && isNeeded) return
    this.firing.restored(options)
    this.#waiters.release()
    if (this.#isEnding && !this.isAwaited) this.phase = 'over'
  }

  refused(error: Error, wasFiring: boolean): void {
    if (isClosed(error)) this.gone()
    else if (wasFiring) this.#refusedToFire(error)
    else if (this.#mayTryAgain(error)) this.#unreached(error)
    else {
      // The kernel accepted these options before. Only a sandbox installed since then, or another thread, makes it refuse.
      process.emitWarning(error)
      this.fail(error)
    }
  }

  unread(errno: number): void {
    this.unreachable(descriptorError(errno, this.fd))
  }

  /** Handles a connection that cannot be read or written, now or ever again. */
  unreachable(error: Error): void {
    if (isClosed(error)) this.gone()
    else if (this.#mayTryAgain(error)) this.#unreached(error)
    else this.fail(error)
  }

  /** The connection is gone, or the target was never a connection. */
  gone(): void {
    this.firing.drop()
    this.#tellAll(this.#attempts.closed())
  }

  fail(error: Error): void {
    this.firing.drop()
    this.#waiters.fail(error)
    this.phase = 'over'
  }

  /** Resolves a waiter with `aborted`. Returns whether to restore the options at once. */
  abort(waiter: Waiter): boolean {
    if (!this.#waiters.dismiss(waiter, this.#attempts.aborted())) return false
    return this.subject.borrowed !== undefined && !this.isAwaited
  }

  /** Restores all options, even if that shortens the connection's life: it keeps only its owner's options. */
  surrender(): void {
    this.firing.end()
    this.#restore()
  }

  #decide(sample: Sample, options: Keepalive, now: number): void {
    const { firing } = this
    const own = firing.ownOf(options)
    const prober = proberOf(sample, own.enable, this.overlay?.unanswered ?? 0)
    this.#path.beginWith(sample, own)
    if (this.#waiters.waiting.length === 0) this.#restore()
    else if (prober !== 'us') this.#observeProber(prober, sample, now)
    else if (now < this.#attempts.mayProbeAt || now < this.#nextAttempt(sample)) this.phase = 'awaiting'
    else {
      const clock = firing.clockOf(sample, own)
      if (isImminent(sample, own, clock)) this.#awaitKernel(sample, clock, now)
      else if (sample.probes >= MOST_COUNTED && this.#path.state !== 'answers') {
        this.#attempts.isAtLimit = true
        this.phase = 'awaiting'
      } else {
        firing.begin(options, clock, sample)
        this.#attempts.begin(sample, now)
        this.phase = 'firing'
        this.schedule.restart()
      }
    }
  }

  #awaitKernel(sample: Sample, clock: KeepaliveClock, now: number): void {
    this.#observeProber('keepalive', sample, now)
    // The kernel's timer is late by up to an eighth.
    this.#attempts.kernelProbesBy = now + (clock.due - silenceOf(sample)) * 1.15 + 100
    this.#waiters.forgetDeadlines()
    this.#waiters.setDeadlines(sample, now, this.#attempts.kernelProbesBy)
  }

  /** Restores the kernel's timer once the probe has left. Restoring it sooner would cancel the probe. */
  #hasItLeft(sample: Sample, now: number): void {
    const left = this.firing.left(sample)
    if (left > 0) {
      this.firing.hasLeft(left - 1, sample)
      this.phase = 'awaiting'
      if (this.#waiters.waiting.length === 0) this.#restore()
    } else if (isUnderWay(sample) || now - this.#attempts.probedAt > MUST_HAVE_LEFT) {
      this.firing.hasNotLeft()
      this.#attempts.notSent()
      if (isUnderWay(sample)) this.#observeProber(proberOf(sample, false, 0), sample, now)
      else this.phase = 'awaiting'
    } else this.schedule.restart()
  }

  #observeProber(prober: Prober, sample: Sample, now: number): void {
    this.phase = 'observing'
    this.#attempts.observe(prober, sample, this.#waiters.waiting, now)
    this.schedule.restart()
  }

  #judge(sample: Sample, now: number): void {
    const attempts = this.#attempts
    const isKernel = this.phase === 'observing'
    for (const waiter of this.#waiters.waiting) {
      const isOver = isKernel
        ? attempts.isOverForKernel(waiter, sample, now)
        : attempts.isOverForUs(waiter, sample, now)
      if (!isOver) continue
      if (awaitConfirmation(waiter, sample, now)) this.schedule.restart()
      else this.#tell(waiter, this.#path.silence(attempts, waiter, sample, isKernel))
    }
  }

  /** Whether the kernel no longer counts the probes that it still counted when the peer was heard. */
  #isAnswered(sample: Sample): boolean {
    return this.#isEnding && this.firing.isUnanswered && sample.probes === 0
  }

  #isHeard(sample: Sample): boolean {
    return this.#heardAt !== undefined && sample.heardAt - this.#heardAt > LEAST_DIFFERENCE
  }

  /** For a borrowed socket, the waiter gets the result when the options are restored. */
  #tell(waiter: Waiter, result: ProbeResult): void {
    if (this.subject.borrowed && this.firing.isOverlaid) this.#waiters.withhold(waiter, result)
    else this.#waiters.tell(waiter, result)
  }

  #end(result: ProbeResult, sample: Sample): void {
    if (this.firing.afterHeard(sample)) {
      this.#heardAt = sample.heardAt
      this.#path.begin(sample)
    }
    this.#tellAll(result)
  }

  /** Gives all waiters their result. After that only options are restored. */
  #tellAll(result: ProbeResult): void {
    for (const waiter of this.#waiters.waiting) this.#tell(waiter, result)
    this.#restore()
    this.#isEnding = true
    if (this.firing.isOverlaid) return
    this.#waiters.release()
    this.phase = 'over'
  }

  #restore(): void {
    this.phase = 'restoring'
    this.schedule.restart()
  }

  #nextAttempt(sample: Sample): number {
    return this.#waiters.nextAttempt(this.#attempts.count, this.#attempts.probedAt, sample)
  }

  #sampleAgain(sample: Sample, now: number, nextAttempt = Number.POSITIVE_INFINITY): void {
    const nextTimeout = this.#waiters.nextTimeout(this.#attempts.probedAt, sample, now)
    this.schedule.next(now, this.#longestWait, Math.min(nextAttempt, nextTimeout))
  }

  get #longestWait(): number {
    if (this.phase !== 'restoring') return LONGEST_WAIT
    const { overlay } = this
    const isUserTimeoutRaised = overlay && overlay.inForce.userTimeout !== baseOf(overlay).userTimeout
    return isUserTimeoutRaised ? LONGEST_USER_TIMEOUT_WAIT : LONGEST_RESTORING_WAIT
  }

  /** The kernel refused to send the probe, and the connection's options are unchanged. */
  #refusedToFire(error: Error): void {
    if (this.firing.hasNotLeft()) {
      this.#waiters.fail(error)
      this.#restore()
    } else this.fail(error)
  }

  /** The connection cannot be reached now. The waiters get the error, and the options are restored once it can be reached. */
  #unreached(error: Error): void {
    this.#waiters.fail(error)
    this.surrender()
    this.schedule.due = performance.now() + LONGEST_WAIT
  }

  #mayTryAgain(error: Error): boolean {
    return this.firing.isOverlaid && (isShortage(error) || ++this.#refusals < MOST_REFUSALS)
  }
}

import { isClockKnown, noteClock } from '../connection/known-clock.js'
import { noteHeard } from '../connection/last-heard.js'
import type { Keepalive, Sample, SampleWithOptions } from '../kernel/liveness.js'
import { descriptorError } from '../kernel/options.js'
import { isShortage } from '../kernel/shortage.js'
import { TcpState } from '../kernel/tcp-info.js'
import {
  clockAfter,
  clockAfterStop,
  clockFrom,
  clockFromTimer,
  type KeepaliveClock,
} from '../overlay/clock.js'
import type { Keyed } from '../overlay/cookie-map.js'
import {
  baseOf,
  type Overlay,
  overlayFor,
  overlayOf,
  type Reconciled,
  releaseOverlay,
  sameKeepalive,
} from '../overlay/overlay.js'
import { isUnderWay, plan } from '../overlay/plan.js'
import {
  evidenceOfAnswer,
  evidenceOfSilence,
  isImminent,
  isOpen,
  LEAST_GAP,
  type Prober,
  proberOf,
  RECENT,
  silenceOf,
  timesProbed,
  WINDOW_GRACE,
} from './evidence.js'
import type { ProbeResult } from './result.js'
import type { Subject } from './subject.js'
import { timeoutOf, type Waiter, Waiters } from './waiters.js'

/**
 * - `queued`: waits for its turn to probe.
 * - `firing`: the kernel will send the probe at its next tick.
 * - `awaiting`: the probe has left, and its answer is awaited.
 * - `observing`: the kernel probes or retransmits by itself.
 * - `restoring`: nobody waits; what unanswered probes need stays in force until the peer is heard, or the connection ends.
 * - `over`
 */
type Phase = 'queued' | 'firing' | 'awaiting' | 'observing' | 'restoring' | 'over'

/** Between samples, ms: a tick until the probe has left, then twice as long each time. */
const FIRST_WAIT = 5
const LONGEST_WAIT = 64
const LONGEST_RESTORING_WAIT = 1_000
/** A raised userTimeout holds for data as well, and goes back when there is some. */
const LONGEST_USER_TIMEOUT_WAIT = 200

/** A timer that has not fired after so long, in ms, will not: a busy socket's is 50 ms late. */
const MUST_HAVE_LEFT = 250

/** What is heard after the probe differs from the silence before it, of a second at least, by more than this, in ms. */
const LEAST_DIFFERENCE = 500

/** How often putting options back is tried if it is forbidden. A shortage passes, so then it is tried until it succeeds. */
const MOST_REFUSALS = 5

/** The probing of one connection. All who probe it at the same time share it. */
export class ProbeSession implements Reconciled, Keyed<ProbeSession> {
  nextInBucket: ProbeSession | undefined
  phase: Phase = 'queued'
  /** The descriptor, for as long as a step takes. */
  fd = -1
  /** In how many ms the kernel's keepalive timer is due, if it was read for this step. */
  timer: number | undefined
  /** When to sample next, on performance.now(). */
  due = 0
  /** Whether it is counted as one whose probe has not been seen to leave. */
  isLeaving = false
  /** Undoes what was prepared for the end of the process. */
  release?: () => void
  readonly cookie: bigint

  readonly #waiters = new Waiters()
  #prober: Prober = 'us'
  #attempts = 0
  #probedAt = Number.NEGATIVE_INFINITY
  #wait = FIRST_WAIT
  /** How often the kernel has probed by itself. */
  #count = 0
  /** When the kernel's own probe, which is waited for, has left at the latest. */
  #kernelProbesBy = Number.NEGATIVE_INFINITY
  /** On the kernel's clock. */
  #heardAt: number | undefined
  #probedAtTick = 0
  /** Whether the last attempt was ours. */
  #isRttKnown = true
  #probesBefore = 0
  /** Attempts that the kernel did not send. */
  #notSent = 0
  #isEnding = false
  /** Whether options in force are, or may be, other than the owner's because of this session. */
  #isOverlaid = false
  /** How often reading the connection, or restoring its options, was not permitted. */
  #refusals = 0

  constructor(readonly subject: Subject) {
    this.cookie = subject.cookie
    // A heartbeat's options are this session's to put back.
    this.#isOverlaid = this.overlay?.beating !== undefined
  }

  get overlay(): Overlay | undefined {
    return overlayOf(this.cookie)
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
    // As after an attempt: the next has to be as far from the last of the probe before.
    this.phase = 'awaiting'
    this.due = 0
    this.#prober = 'us'
    this.#count = 0
    this.#attempts = 0
    this.#notSent = 0
    this.#isEnding = false
  }

  /** Whether it takes the kernel's keepalive timer to understand a sample. */
  needsTimer({ sample, options }: SampleWithOptions): boolean {
    const { overlay } = this
    if (overlay?.beating !== undefined) return sample.probes > 0
    const own = overlay ? baseOf(overlay) : options
    if (!own.enable || !isOpen(sample.state)) return false
    // Before the probe; and if the kernel has fired more than once for it, since this process was stopped.
    if (this.phase === 'firing') return sample.probes > (this.#isHeard(sample) ? 1 : this.#probesBefore + 1)
    if (this.phase !== 'queued') return false
    return !overlay?.clock && !isClockKnown(this.subject.handle, options, silenceOf(sample))
  }

  /** When it may probe next: attempts have to be apart. */
  get mayProbeAt(): number {
    return this.#probedAt + LEAST_GAP
  }

  /**
   * Takes a sample without the options. Returns `reconcile` if something is to be written, which takes the options as well, and `fire` if it is
   * this session's turn to probe.
   */
  observeSample(sample: Sample, now: number): 'reconcile' | 'fire' | undefined {
    if (!isOpen(sample.state) || this.#isHeard(sample) || this.#isAnswered(sample)) return 'reconcile'
    const { overlay } = this
    if (overlay && !sameKeepalive(overlay.inForce, plan(overlay.own, overlay, sample))) return 'reconcile'
    if (this.phase === 'awaiting' && isUnderWay(sample)) {
      this.#observeProber(proberOf(sample, false, 0), sample, now)
    }
    this.#waiters.setDeadlines(sample, now, this.#kernelProbesBy)
    if (this.phase === 'observing') this.#judgeObserved(sample, now)
    else if (this.phase === 'awaiting') this.#judgeAwaited(sample, now)
    if (this.#waiters.waiting.length === 0) {
      if (this.phase !== 'restoring') this.#restore()
      // Its own options were enough all along.
      if (this.subject.borrowed && overlay) this.written(overlay.inForce)
    }
    const nextAttempt = this.phase === 'awaiting' ? this.#nextAttempt(sample) : Number.POSITIVE_INFINITY
    if (now >= nextAttempt) {
      this.phase = 'queued'
      return 'fire'
    }
    this.#sampleAgain(sample, now, nextAttempt)
    if (this.phase === 'restoring' && !this.#isOverlaid && now >= this.mayProbeAt) this.phase = 'over'
    return undefined
  }

  observe({ sample, options }: SampleWithOptions): boolean {
    const now = performance.now()
    const wasQueued = this.phase === 'queued'
    if (!isOpen(sample.state)) this.#end(closed(this.#attempts, sample), sample)
    else if (this.#isHeard(sample)) this.#answered(sample)
    else if (silenceOf(sample) < RECENT) {
      this.#end({ alive: true, evidence: 'recent', attempts: 0, idleFor: silenceOf(sample) }, sample)
    } else if (this.#isAnswered(sample)) {
      this.#endReasons()
      this.#restore()
    } else {
      this.#heardAt ??= sample.heardAt
      this.#waiters.setDeadlines(sample, now, this.#kernelProbesBy)
      if (wasQueued) this.#decide(sample, options, now)
      else if (this.phase === 'firing') this.#hasItLeft(sample, now)
      this.#sampleAgain(sample, now)
    }
    if (isOpen(sample.state)) noteHeard(this.subject.handle, sample.heardAt)
    return wasQueued && this.phase === 'firing'
  }

  written(options: Keepalive): void {
    const { overlay } = this
    if (!overlay || !this.#isOverlaid) return
    const { isFiring, clock, unanswered } = overlay
    if (isFiring || !sameKeepalive(options, baseOf(overlay))) return
    // Its own may do while a probe is unanswered, and others that are written meanwhile not.
    const isNeeded = !this.subject.borrowed || this.#waiters.waiting.length > 0
    if (clock && unanswered > 0 && options.enable && isNeeded) return
    // TCP_KEEPIDLE has just been written.
    noteClock(this.subject.handle, options.enable)
    this.#drop()
    this.#waiters.release()
    if (this.#isEnding && !this.isAwaited) this.phase = 'over'
  }

  refused(error: Error, wasFiring: boolean): void {
    if (isClosed(error)) this.gone()
    else if (wasFiring) this.#refusedToFire(error)
    else if (this.#mayTryAgain(error)) this.#unreached(error)
    else {
      // These options were taken before: only a sandbox that was put in place since, or another thread, refuses.
      process.emitWarning(error)
      this.fail(error)
    }
  }

  unread(errno: number): void {
    this.unreachable(descriptorError(errno, this.fd))
  }

  /** It cannot be got at, for now or at all. */
  unreachable(error: Error): void {
    if (isClosed(error)) this.gone()
    else if (this.#mayTryAgain(error)) this.#unreached(error)
    else this.fail(error)
  }

  /** The connection is gone, or was never one. */
  gone(): void {
    this.#drop()
    this.#tellAll(closed(this.#attempts))
  }

  fail(error: Error): void {
    this.#drop()
    this.#waiters.fail(error)
    this.phase = 'over'
  }

  /** Tells one who waits that it was aborted. Returns whether the options are to go back at once. */
  abort(waiter: Waiter): boolean {
    const aborted = {
      alive: undefined,
      evidence: 'aborted',
      attempts: this.#attempts,
      idleFor: Number.NaN,
    } as const
    if (!this.#waiters.dismiss(waiter, aborted)) return false
    return this.subject.borrowed !== undefined && !this.isAwaited
  }

  /** All options back, whatever it may do to the connection: it is left with its owner's. */
  surrender(): void {
    this.#endReasons()
    this.#restore()
  }

  #decide(sample: Sample, options: Keepalive, now: number): void {
    const { overlay } = this
    const own = overlay ? baseOf(overlay) : options
    if (overlay?.beating !== undefined) this.#takeOver(overlay, own, sample, now)
    const prober = proberOf(sample, own.enable, overlay?.unanswered ?? 0)
    if (this.#waiters.waiting.length === 0) this.#restore()
    else if (prober !== 'us') this.#observeProber(prober, sample, now)
    else if (now < this.mayProbeAt || now < this.#nextAttempt(sample)) this.phase = 'awaiting'
    else {
      const clock = overlay?.clock ?? this.#clockOf(sample, own)
      if (isImminent(sample, own, clock)) this.#awaitKernel(sample, clock, now)
      else this.#fire(overlayFor(this.cookie, options), clock, sample, now)
    }
  }

  /**
   * What the kernel has sent for a heartbeat, unanswered, counts as attempts. If its timer is not told, the last one was just now. Those that the
   * connection's own clock would have sent by now are its own.
   */
  #takeOver(overlay: Overlay, own: Keepalive, sample: Sample, now: number): void {
    const { probes } = sample
    overlay.beating = undefined
    if (probes === 0) return
    if (own.enable) {
      overlay.clock = clockAfter(own, silenceOf(sample))
      overlay.unanswered = probes - overlay.clock.sent
    }
    const { interval } = overlay.inForce
    this.#attempts = probes
    this.#probedAt = now - Math.max(0, interval - (this.timer ?? interval))
    this.#isRttKnown = false
  }

  #clockOf(sample: Sample, own: Keepalive): KeepaliveClock {
    const isKnown = isClockKnown(this.subject.handle, own, silenceOf(sample))
    return isKnown ? clockFrom(own) : clockFromTimer(sample, own, this.timer)
  }

  #fire(overlay: Overlay, clock: KeepaliveClock, sample: Sample, now: number): void {
    overlay.clock = clock
    overlay.isFiring = true
    overlay.unanswered++
    this.#isOverlaid = true
    this.phase = 'firing'
    this.#prober = 'us'
    this.#attempts++
    this.#probedAt = now
    this.#probedAtTick = sample.sampledAt
    this.#isRttKnown = true
    this.#probesBefore = sample.probes
    this.#wait = FIRST_WAIT
  }

  #awaitKernel(sample: Sample, clock: KeepaliveClock, now: number): void {
    this.#observeProber('keepalive', sample, now)
    // As late as the kernel's timer may be.
    this.#kernelProbesBy = now + (clock.due - silenceOf(sample)) * 1.15 + 100
    this.#waiters.forgetDeadlines()
    this.#waiters.setDeadlines(sample, now, this.#kernelProbesBy)
  }

  /** Once the probe has left, the kernel's clock goes back to what it was; sooner, that would take the probe back. */
  #hasItLeft(sample: Sample, now: number): void {
    const overlay = this.overlay!
    if (sample.probes > this.#probesBefore) {
      overlay.isFiring = false
      const times = sample.probes - this.#probesBefore - 1
      if (times > 0 && overlay.clock && baseOf(overlay).enable) {
        overlay.clock = this.#clockAfterStop(overlay, overlay.clock, times, sample)
      }
      this.phase = 'awaiting'
      if (this.#waiters.waiting.length === 0) this.#restore()
    } else if (isUnderWay(sample) || now - this.#probedAt > MUST_HAVE_LEFT) {
      overlay.isFiring = false
      overlay.unanswered--
      this.#attempts--
      this.#notSent++
      if (isUnderWay(sample)) this.#observeProber(proberOf(sample, false, 0), sample, now)
      else this.phase = 'awaiting'
    } else this.#wait = FIRST_WAIT
  }

  #observeProber(prober: Prober, sample: Sample, now: number): void {
    this.phase = 'observing'
    this.#prober = prober
    this.#count = timesProbed(sample, prober)
    for (const waiter of this.#waiters.waiting) {
      waiter.enoughAt = this.#count >= waiter.attempts ? now : undefined
    }
    this.#wait = FIRST_WAIT
  }

  #judgeAwaited(sample: Sample, now: number): void {
    for (const waiter of this.#waiters.waiting) {
      const isOver = now >= this.#probedAt + timeoutOf(waiter, sample)
      if (isOver && (this.#attempts >= waiter.attempts || this.#notSent > waiter.attempts)) {
        this.#silent(waiter, sample, this.#attempts)
      }
    }
  }

  #judgeObserved(sample: Sample, now: number): void {
    this.#count = timesProbed(sample, this.#prober)
    const grace = this.#prober === 'window-probe' ? WINDOW_GRACE : 0
    for (const waiter of this.#waiters.waiting) {
      if (this.#count >= waiter.attempts) waiter.enoughAt ??= now
      // The last one has its time, too.
      const over =
        waiter.enoughAt === undefined
          ? waiter.deadline!
          : waiter.enoughAt + Math.max(grace, timeoutOf(waiter, sample))
      if (now >= over) this.#silent(waiter, sample, this.#count)
    }
  }

  #silent(waiter: Waiter, sample: Sample, attempts: number): void {
    const alive = attempts >= waiter.attempts ? false : undefined
    const evidence = evidenceOfSilence(this.#prober)
    this.#tell(waiter, { alive, evidence, attempts, idleFor: silenceOf(sample) })
  }

  #answered(sample: Sample): void {
    // A probe of the kernel's own that is answered between two samples is not seen.
    const byKernel = this.#prober === 'us' ? 0 : Math.max(1, this.#count)
    const result: ProbeResult = {
      alive: true,
      evidence: evidenceOfAnswer(this.#prober),
      // With more than one attempt it is not known which was answered.
      ...(this.#attempts === 1 &&
        this.#prober === 'us' &&
        this.#isRttKnown && { rtt: Math.max(0, Math.round(sample.heardAt - this.#probedAtTick)) }),
      attempts: Math.max(this.#attempts, byKernel),
      idleFor: silenceOf(sample),
    }
    this.#waiters.recall()
    this.#end(result, sample)
  }

  /** The timer has fired for the probe, and so many times more while this process was stopped. */
  #clockAfterStop(overlay: Overlay, clock: KeepaliveClock, times: number, sample: Sample): KeepaliveClock {
    return clockAfterStop(clock, baseOf(overlay), overlay.inForce, times, silenceOf(sample), this.timer)
  }

  /**
   * The peer was heard, and yet probes are counted. Either it said something that took the kernel's short way, which does not look for
   * what is acknowledged (tcp_rcv_established): then those from before still count. Or this process was stopped, and the timer, still set
   * to fire, has fired since.
   */
  #startAnew(overlay: Overlay, sample: Sample): void {
    const own = baseOf(overlay)
    this.#heardAt = sample.heardAt
    // Set to fire, the timer fires once before the connection's own is due.
    overlay.unanswered = Math.min(overlay.unanswered + Number(overlay.isFiring), sample.probes)
    const others = sample.probes - overlay.unanswered
    const hasFired = overlay.isFiring && others > 0 && silenceOf(sample) >= own.initialDelay
    const clock = clockFrom(own)
    overlay.clock = hasFired
      ? this.#clockAfterStop(overlay, clock, others, sample)
      : { ...clock, sent: others }
    overlay.isFiring = false
  }

  /** Nothing is counted any more of what was left when the peer was heard. */
  #isAnswered(sample: Sample): boolean {
    return this.#isEnding && this.#isOverlaid && this.overlay?.clock !== undefined && sample.probes === 0
  }

  #isHeard(sample: Sample): boolean {
    return this.#heardAt !== undefined && sample.heardAt - this.#heardAt > LEAST_DIFFERENCE
  }

  /** Whoever borrowed a socket is told when its options are back. */
  #tell(waiter: Waiter, result: ProbeResult): void {
    if (this.subject.borrowed && this.#isOverlaid) this.#waiters.withhold(waiter, result)
    else this.#waiters.tell(waiter, result)
  }

  #end(result: ProbeResult, sample: Sample): void {
    const { overlay } = this
    const isCounted = overlay?.clock !== undefined && overlay.unanswered > 0 && sample.probes > 0
    if (isCounted && baseOf(overlay).enable && isOpen(sample.state)) this.#startAnew(overlay, sample)
    else this.#endReasons()
    this.#tellAll(result)
  }

  /** The last word: nothing is left to do but to put options back. */
  #tellAll(result: ProbeResult): void {
    for (const waiter of this.#waiters.waiting) this.#tell(waiter, result)
    this.#restore()
    this.#isEnding = true
    if (this.#isOverlaid) return
    this.#waiters.release()
    this.phase = 'over'
  }

  /** All options are to go back at the next opportunity. */
  #endReasons(): void {
    const { overlay } = this
    if (!overlay || !this.#isOverlaid) return
    Object.assign(overlay, { clock: undefined, unanswered: 0, isFiring: false, beating: undefined })
  }

  #drop(): void {
    const { overlay } = this
    if (overlay && this.#isOverlaid) releaseOverlay(overlay)
    this.#isOverlaid = false
  }

  #restore(): void {
    this.phase = 'restoring'
    this.#wait = FIRST_WAIT
  }

  #nextAttempt(sample: Sample): number {
    return this.#waiters.nextAttempt(this.#attempts, this.#probedAt, sample)
  }

  #sampleAgain(sample: Sample, now: number, nextAttempt = Number.POSITIVE_INFINITY): void {
    const nextTimeout = this.#waiters.nextTimeout(this.#probedAt, sample, now)
    this.due = Math.min(now + this.#wait, nextAttempt, nextTimeout)
    this.#wait = Math.min(this.#longestWait, this.#wait * 2)
  }

  get #longestWait(): number {
    if (this.phase !== 'restoring') return LONGEST_WAIT
    const { overlay } = this
    const isUserTimeoutRaised = overlay && overlay.inForce.userTimeout !== baseOf(overlay).userTimeout
    return isUserTimeoutRaised ? LONGEST_USER_TIMEOUT_WAIT : LONGEST_RESTORING_WAIT
  }

  /** The kernel refused to send the probe, and the connection has what it had. */
  #refusedToFire(error: Error): void {
    const { overlay } = this
    if (overlay?.isFiring) {
      overlay.isFiring = false
      overlay.unanswered--
    }
    if (overlay && overlay.unanswered > 0) {
      this.#waiters.fail(error)
      this.#restore()
    } else this.fail(error)
  }

  /** It cannot be got at just now. Nobody waits for an answer any more; the options go back once it can be. */
  #unreached(error: Error): void {
    this.#waiters.fail(error)
    this.surrender()
    this.due = performance.now() + LONGEST_WAIT
  }

  #mayTryAgain(error: Error): boolean {
    return this.#isOverlaid && (isShortage(error) || ++this.#refusals < MOST_REFUSALS)
  }
}

function closed(attempts: number, sample?: Sample): ProbeResult {
  // If only one side has closed, the peer may be there.
  const isHalf = sample && sample.state !== TcpState.CLOSE
  return {
    alive: isHalf ? undefined : false,
    evidence: 'closed',
    attempts,
    idleFor: isHalf ? silenceOf(sample) : Number.NaN,
  }
}

/** ESTALE is the native core's word for a number that is another socket's by now. */
function isClosed(error: Error): boolean {
  return 'code' in error && (error.code === 'ERR_SOCKET_CLOSED' || error.code === 'ESTALE')
}

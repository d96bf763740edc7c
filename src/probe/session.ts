import { isClockKnown, noteClock } from '../connection/known-clock.js'
import { noteHeard } from '../connection/last-heard.js'
import type { Keepalive, Look, SocketName } from '../kernel/liveness.js'
import { TcpState } from '../kernel/tcp-info.js'
import type { Kept } from '../overlay/by-cookie.js'
import { clockAfterStop, clockFrom, type OwnClock } from '../overlay/guard.js'
import {
  forgetLifted,
  isUnderWay,
  keepLifted,
  type Lifted,
  liftedBy,
  liftedNow,
  sameKeepalive,
} from '../overlay/lifted.js'
import { ownClock } from '../overlay/own-clock.js'
import {
  type Asks,
  answerTo,
  isImminent,
  isOpen,
  LEAST_GAP,
  RECENT,
  silenceOf,
  silenceTo,
  timesAsked,
  WINDOW_GRACE,
  whoAsks,
} from './evidence.js'
import type { ProbeResult } from './result.js'
import type { Subject } from './subject.js'
import { type Asker, Audience, durationFor, timeoutOf } from './waiters.js'

/**
 * - `waiting`: for its turn.
 * - `asked`: the kernel will send the probe at its next tick.
 * - `listening`: the probe has left.
 * - `watching`: the kernel asks by itself.
 * - `settling`: nobody waits; what the unanswered probes need stays lifted until the peer is heard, or the connection ends.
 * - `over`
 */
type Phase = 'waiting' | 'asked' | 'listening' | 'watching' | 'settling' | 'over'

/** Between looks, ms: a tick until the probe has left, twice as long each time then. */
const FIRST_LOOK = 5
const LONGEST_LOOK = 64
const LONGEST_SETTLING_LOOK = 1_000
/** A raised userTimeout holds for data as well, and goes back when there is some. */
const LONGEST_USER_TIMEOUT_LOOK = 200

/** A timer that has not fired after so long, in ms, will not: a busy socket's is 50 ms late. */
const MUST_HAVE_LEFT = 250

/** What is heard after the question differs from the silence before it, of a second at least, by more than this, in ms. */
const LEAST_DIFFERENCE = 500

/** One connection that is asked, whoever wants to know: questions to one connection are joined. */
export class Question implements SocketName, Kept<Question> {
  nextKept: Question | undefined
  phase: Phase = 'waiting'
  /** The descriptor, for as long as a step takes. */
  fd = -1
  /** In how many ms the kernel's keepalive timer is due, where that was read for this step, and told. */
  timer: number | undefined
  /** When to look next, on performance.now(). */
  due = 0
  /** Whether it is counted as one whose probe has not been seen to leave. */
  isLeaving = false
  lifted: Lifted | undefined
  /** How often reading the connection, or restoring its options, was not permitted. */
  refusals = 0
  /** Undoes what was prepared for the end of the process. */
  release?: () => void

  readonly #audience = new Audience()
  #asks: Asks = 'us'
  #attempts = 0
  #askedAt = Number.NEGATIVE_INFINITY
  #wait = FIRST_LOOK
  /** How often the kernel has asked. */
  #count = 0
  /** When the kernel's own probe, which is waited for, has left at the latest. */
  #kernelAsksBy = Number.NEGATIVE_INFINITY
  /** On the kernel's clock. */
  #heardAt: number | undefined
  #askedAtTick = 0
  /** Whether the last attempt was ours. */
  #isRttKnown = true
  #probesBefore = 0
  /** Attempts that the kernel did not send. */
  #notSent = 0
  #isEnding = false
  /** Whether the kernel has been asking on a loan, which this question has yet to take over. */
  #isOnLoan: boolean

  readonly cookie: bigint

  constructor(readonly subject: Subject) {
    this.cookie = subject.cookie
    this.lifted = liftedBy(subject.cookie)
    this.#isOnLoan = this.lifted?.isLent ?? false
    if (this.lifted) this.lifted.isLent = false
  }

  get isCertain(): boolean {
    return this.subject.handle !== undefined
  }

  get isAwaited(): boolean {
    return !this.#audience.isEmpty
  }

  get holdsProcess(): boolean {
    return this.#audience.holdsProcess
  }

  join(asker: Asker): void {
    this.#audience.join(asker)
    if (this.phase !== 'settling') return
    // As after an attempt: the next has to be as far from the last of the question before.
    this.phase = 'listening'
    this.due = 0
    this.#asks = 'us'
    this.#count = 0
    this.#attempts = 0
    this.#notSent = 0
    this.#isEnding = false
  }

  /** Whether it takes the kernel's keepalive timer to understand a look. */
  needsTimer(look: Look, options: Keepalive): boolean {
    if (this.#isOnLoan) return look.probes > 0
    if (!(this.lifted?.own.enable ?? options.enable) || !isOpen(look.state)) return false
    // Before the question; and where the kernel has fired more than once for it, as this process was stopped.
    if (this.phase === 'asked') return look.probes > (this.#isHeard(look) ? 1 : this.#probesBefore + 1)
    if (this.phase !== 'waiting') return false
    return !this.lifted?.clock && !isClockKnown(this.subject.handle, options, silenceOf(look))
  }

  /** When it may ask next: attempts have to be apart. */
  get mayAskAt(): number {
    return this.#askedAt + LEAST_GAP
  }

  /**
   * A look without the options. Returns whether they have to be looked at as well, as something is to be written, or it
   * is this question's turn to ask.
   */
  glance(look: Look, now: number): 'examine' | 'ask' | undefined {
    if (!isOpen(look.state) || this.#isHeard(look) || this.#isAnswered(look)) return 'examine'
    if (this.lifted && !sameKeepalive(this.lifted.written, liftedNow(this.lifted, look))) return 'examine'
    if (this.phase === 'listening' && isUnderWay(look)) this.#watch(whoAsks(look, NO_KEEPALIVE, 0), look, now)
    this.#setDeadlines(look, now)
    if (this.phase === 'watching') this.#judgeWatched(look, now)
    else if (this.phase === 'listening') this.#judgeListening(look, now)
    if (this.#audience.asking.length === 0) {
      if (this.phase !== 'settling') this.#settle()
      // Its own options were enough all along.
      if (this.subject.borrowed && this.lifted) this.written(this.lifted.written)
    }
    const nextAttempt = this.phase === 'listening' ? this.#nextAttempt(look) : Number.POSITIVE_INFINITY
    if (now >= nextAttempt) {
      this.phase = 'waiting'
      return 'ask'
    }
    this.#lookAgain(look, now, nextAttempt)
    if (this.phase === 'settling' && !this.lifted && now >= this.mayAskAt) this.phase = 'over'
    return undefined
  }

  /** A look with the options; `options` are the connection's own. What has to be written then is `lifted`'s to say. */
  see(look: Look, options: Keepalive, now: number): void {
    if (!isOpen(look.state)) this.#end(closed(this.#attempts, look), look)
    else if (this.#isHeard(look)) this.#answered(look)
    else if (silenceOf(look) < RECENT) {
      this.#end({ alive: true, evidence: 'recent', attempts: 0, idleFor: silenceOf(look) }, look)
    } else if (this.#isAnswered(look)) {
      this.#release()
      this.#settle()
    } else {
      this.#heardAt ??= look.heardAt
      this.#setDeadlines(look, now)
      if (this.phase === 'waiting') this.#decide(look, options, now)
      else if (this.phase === 'asked') this.#hasItLeft(look, now)
      this.#lookAgain(look, now)
    }
    if (isOpen(look.state)) noteHeard(this.subject.handle, look.heardAt)
  }

  /** The connection is gone, or was never one. */
  gone(): void {
    this.#drop()
    this.#tellAll(closed(this.#attempts))
  }

  fail(error: Error): void {
    this.#drop()
    this.#audience.fail(error)
    this.phase = 'over'
  }

  /** The kernel refused what the question needs, and has what it had. */
  refused(error: Error): void {
    if (this.lifted?.asking) {
      this.lifted.asking = false
      this.lifted.unanswered--
    }
    if (this.lifted && this.lifted.unanswered > 0) {
      this.#audience.fail(error)
      this.#settle()
    } else this.fail(error)
  }

  /** It cannot be got at just now. Nobody waits for an answer any more; the options go back once it can be. */
  unreached(error: Error, now: number): void {
    this.#audience.fail(error)
    this.surrender()
    this.due = now + LONGEST_LOOK
  }

  /** Written, and the socket has it. */
  written(options: Keepalive): void {
    if (!this.lifted) return
    this.lifted.written = options
    if (this.lifted.asking || !sameKeepalive(options, this.lifted.own)) return
    // Its own may do while a probe is unanswered, and others that are written meanwhile not.
    const isNeeded = !this.subject.borrowed || this.#audience.asking.length > 0
    if (this.lifted.clock && this.lifted.unanswered > 0 && options.enable && isNeeded) return
    // TCP_KEEPIDLE has just been written.
    noteClock(this.subject.handle, options.enable)
    this.#drop()
    this.#audience.release()
    if (this.#isEnding && !this.isAwaited) this.phase = 'over'
  }

  /** Tells one who waits that it was aborted. Returns whether the options are to go back at once. */
  abort(asker: Asker): boolean {
    const aborted = {
      alive: undefined,
      evidence: 'aborted',
      attempts: this.#attempts,
      idleFor: Number.NaN,
    } as const
    if (!this.#audience.dismiss(asker, aborted)) return false
    return this.subject.borrowed !== undefined && !this.isAwaited
  }

  /** All options back, whatever it may do to the connection: whoever owns it is left with its own. */
  surrender(): void {
    this.#release()
    this.#settle()
  }

  #decide(look: Look, options: Keepalive, now: number): void {
    const own = this.lifted?.own ?? options
    const asks = whoAsks(look, own, this.lifted?.unanswered ?? 0)
    if (this.#isOnLoan && asks === 'us') this.#takeOver(look, now)
    this.#isOnLoan = false
    if (this.#audience.asking.length === 0) this.#settle()
    else if (asks !== 'us') this.#watch(asks, look, now)
    else if (now < this.mayAskAt || now < this.#nextAttempt(look)) this.phase = 'listening'
    else {
      const clock = this.lifted?.clock ?? this.#clockOf(look, own)
      if (isImminent(look, own, clock)) this.#awaitKernel(look, clock, now)
      else {
        this.lifted ??= {
          cookie: this.cookie,
          nextKept: undefined,
          own,
          written: options,
          clock,
          unanswered: 0,
          asking: false,
          isLent: false,
        }
        this.lifted.clock = clock
        this.#ask(this.lifted, look, now)
      }
    }
  }

  /** What the kernel has asked in vain on a loan counts as asked. Where its timer is not told, the last time was just now. */
  #takeOver({ probes }: Look, now: number): void {
    if (probes === 0) return
    const { interval } = this.lifted!.written
    this.#attempts = probes
    this.#askedAt = now - Math.max(0, interval - (this.timer ?? interval))
    this.#isRttKnown = false
  }

  #clockOf(look: Look, own: Keepalive): OwnClock {
    const isKnown = isClockKnown(this.subject.handle, own, silenceOf(look))
    return isKnown ? clockFrom(own) : ownClock(look, own, this.timer)
  }

  #ask(lifted: Lifted, look: Look, now: number): void {
    keepLifted(lifted)
    lifted.asking = true
    lifted.unanswered++
    this.phase = 'asked'
    this.#asks = 'us'
    this.#attempts++
    this.#askedAt = now
    this.#askedAtTick = look.seenAt
    this.#isRttKnown = true
    this.#probesBefore = look.probes
    this.#wait = FIRST_LOOK
  }

  #awaitKernel(look: Look, clock: OwnClock, now: number): void {
    this.#watch('keepalive', look, now)
    // As late as the kernel's timer may be.
    this.#kernelAsksBy = now + (clock.due - silenceOf(look)) * 1.15 + 100
    for (const asker of this.#audience.asking) delete asker.deadline
    this.#setDeadlines(look, now)
  }

  /** For those who have joined since the last look too. */
  #setDeadlines(look: Look, now: number): void {
    for (const asker of this.#audience.asking) {
      asker.deadline ??= Math.max(now + durationFor(asker, look), this.#kernelAsksBy + timeoutOf(asker, look))
    }
  }

  /** Once it has, the kernel's clock goes back to what it was; before, that would take the question back. */
  #hasItLeft(look: Look, now: number): void {
    const lifted = this.lifted!
    const hasLeft = look.probes > this.#probesBefore
    if (hasLeft) {
      lifted.asking = false
      const times = look.probes - this.#probesBefore - 1
      if (times > 0 && lifted.clock && lifted.own.enable) {
        lifted.clock = this.#clockAfterStop(lifted, lifted.clock, times, look)
      }
      this.phase = 'listening'
      if (this.#audience.asking.length === 0) this.#settle()
    } else if (isUnderWay(look) || now - this.#askedAt > MUST_HAVE_LEFT) {
      lifted.asking = false
      lifted.unanswered--
      this.#attempts--
      this.#notSent++
      if (isUnderWay(look)) this.#watch(whoAsks(look, NO_KEEPALIVE, 0), look, now)
      else this.phase = 'listening'
    } else this.#wait = FIRST_LOOK
  }

  #watch(asks: Asks, look: Look, now: number): void {
    this.phase = 'watching'
    this.#asks = asks
    this.#count = timesAsked(look, asks)
    for (const asker of this.#audience.asking) {
      asker.enoughAt = this.#count >= asker.attempts ? now : undefined
    }
    this.#wait = FIRST_LOOK
  }

  #judgeListening(look: Look, now: number): void {
    for (const asker of this.#audience.asking) {
      const isOver = now >= this.#askedAt + timeoutOf(asker, look)
      if (isOver && (this.#attempts >= asker.attempts || this.#notSent > asker.attempts)) {
        this.#silent(asker, look, this.#attempts)
      }
    }
  }

  #judgeWatched(look: Look, now: number): void {
    this.#count = timesAsked(look, this.#asks)
    for (const asker of this.#audience.asking) {
      if (this.#count >= asker.attempts) asker.enoughAt ??= now
      // The last one has its time, too.
      const over =
        asker.enoughAt === undefined ? asker.deadline! : asker.enoughAt + this.#waitFor(asker, look)
      if (now >= over) this.#silent(asker, look, this.#count)
    }
  }

  #waitFor(asker: Asker, look: Look): number {
    const timeout = timeoutOf(asker, look)
    return this.#asks === 'window-probe' ? Math.max(WINDOW_GRACE, timeout) : timeout
  }

  #silent(asker: Asker, look: Look, attempts: number): void {
    const alive = attempts >= asker.attempts ? false : undefined
    this.#tell(asker, { alive, evidence: silenceTo(this.#asks), attempts, idleFor: silenceOf(look) })
  }

  #answered(look: Look): void {
    // A probe of the kernel's own that is answered between two looks is not seen.
    const byKernel = this.#asks === 'us' ? 0 : Math.max(1, this.#count)
    const result: ProbeResult = {
      alive: true,
      evidence: answerTo(this.#asks),
      // With more than one attempt it is not known which was answered.
      ...(this.#attempts === 1 &&
        this.#asks === 'us' &&
        this.#isRttKnown && { rtt: Math.max(0, Math.round(look.heardAt - this.#askedAtTick)) }),
      attempts: Math.max(this.#attempts, byKernel),
      idleFor: silenceOf(look),
    }
    this.#audience.recall()
    this.#end(result, look)
  }

  /** The timer has fired for the question, and so many times more while this process was stopped. */
  #clockAfterStop(lifted: Lifted, clock: OwnClock, times: number, look: Look): OwnClock {
    const { own, written } = lifted
    return clockAfterStop(clock, own, written, times, silenceOf(look), this.timer)
  }

  /**
   * The peer was heard, and yet probes are counted. Either it said something that took the kernel's short way, which does not look for
   * what is acknowledged (tcp_rcv_established): then those from before still count. Or this process was stopped, and the timer, still set
   * to ask, has fired since.
   */
  #startAnew(lifted: Lifted, look: Look): void {
    this.#heardAt = look.heardAt
    // Set to ask, the timer fires once before the connection's own is due.
    lifted.unanswered = Math.min(lifted.unanswered + Number(lifted.asking), look.probes)
    const others = look.probes - lifted.unanswered
    const hasFired = lifted.asking && others > 0 && silenceOf(look) >= lifted.own.initialDelay
    const clock = clockFrom(lifted.own)
    lifted.clock = hasFired ? this.#clockAfterStop(lifted, clock, others, look) : { ...clock, sent: others }
    lifted.asking = false
  }

  /** Nothing is counted any more of what was left when the peer was heard. */
  #isAnswered(look: Look): boolean {
    return this.#isEnding && this.lifted?.clock !== undefined && look.probes === 0
  }

  #isHeard(look: Look): boolean {
    return this.#heardAt !== undefined && look.heardAt - this.#heardAt > LEAST_DIFFERENCE
  }

  /** Who borrowed a socket is told when its options are back. */
  #tell(asker: Asker, result: ProbeResult): void {
    if (this.subject.borrowed && this.lifted) this.#audience.withhold(asker, result)
    else this.#audience.tell(asker, result)
  }

  #end(result: ProbeResult, look: Look): void {
    if (this.lifted?.own.enable && this.lifted.unanswered > 0 && look.probes > 0 && isOpen(look.state)) {
      this.#startAnew(this.lifted, look)
    } else this.#release()
    this.#tellAll(result)
  }

  /** The last word: nothing is left to do but to put options back. */
  #tellAll(result: ProbeResult): void {
    for (const asker of this.#audience.asking) this.#tell(asker, result)
    this.#settle()
    this.#isEnding = true
    if (this.lifted) return
    this.#audience.release()
    this.phase = 'over'
  }

  /** All options are to go back at the next opportunity. */
  #release(): void {
    if (!this.lifted) return
    this.lifted.asking = false
    this.lifted.unanswered = 0
    this.lifted.clock = undefined
  }

  #drop(): void {
    if (this.lifted) forgetLifted(this.lifted)
    this.lifted = undefined
  }

  #settle(): void {
    this.phase = 'settling'
    this.#wait = FIRST_LOOK
  }

  #nextAttempt(look: Look): number {
    let longest = LEAST_GAP
    let isWanted = false
    for (const asker of this.#audience.asking) {
      if (asker.attempts <= this.#attempts) continue
      isWanted = true
      longest = Math.max(longest, timeoutOf(asker, look))
    }
    return isWanted ? this.#askedAt + longest : Number.POSITIVE_INFINITY
  }

  #lookAgain(look: Look, now: number, nextAttempt = Number.POSITIVE_INFINITY): void {
    let due = Math.min(now + this.#wait, nextAttempt)
    for (const asker of this.#audience.asking) {
      const over = this.#askedAt + timeoutOf(asker, look)
      if (over > now) due = Math.min(due, over)
    }
    this.due = due
    const isUserTimeoutRaised = this.lifted && this.lifted.written.userTimeout !== this.lifted.own.userTimeout
    const longest =
      this.phase !== 'settling'
        ? LONGEST_LOOK
        : isUserTimeoutRaised
          ? LONGEST_USER_TIMEOUT_LOOK
          : LONGEST_SETTLING_LOOK
    this.#wait = Math.min(longest, this.#wait * 2)
  }
}

/** Where keepalive does not matter for who asks: something is under way. */
const NO_KEEPALIVE: Keepalive = {
  enable: false,
  initialDelay: 0,
  interval: 0,
  count: 0,
  userTimeout: undefined,
}

function closed(attempts: number, look?: Look): ProbeResult {
  // Where only one side has closed, the peer may be there.
  const isHalf = look && look.state !== TcpState.CLOSE
  return {
    alive: isHalf ? undefined : false,
    evidence: 'closed',
    attempts,
    idleFor: isHalf ? silenceOf(look) : Number.NaN,
  }
}

import type { Handle } from '../connection/target.js'
import type { NativeCore } from '../kernel/binding.js'
import { descriptorError } from '../kernel/failure.js'
import { examine, type Keepalive, type Look, lookAt, type SocketName } from '../kernel/liveness.js'
import { liftedBy, liftedCount } from '../overlay/lifted.js'
import { giveBack, lend } from '../overlay/loan.js'
import type { ProbeResult } from '../probe/result.js'
import { askOne, withdraw } from '../probe/sessions.js'
import type { Subject } from '../probe/subject.js'
import type { Asker } from '../probe/waiters.js'
import {
  answeredPulse,
  attend,
  calmUntil,
  clockToLend,
  firstPulse,
  type Heartbeat,
  isLent,
  lendPulse,
  MOST_LENT,
  type Pulse,
  renewPulse,
  SLOT,
  slotOf,
  suspicionOf,
  takeBack,
} from './heartbeat-state.js'
import { Schedule, type Scheduled } from './schedule.js'

/** Receives what an {@link Attention} finds. */
export interface Concerned {
  /** Whether to report suspicion. If not, only the heartbeat's probes are sent. */
  readonly isWary: boolean
  suspected(evidence: string, silentFor: number): void
  recovered(): void
  /** The heartbeat went unanswered. */
  silent(result: ProbeResult): void
}

const schedule = new Schedule<Attention>(lookAtAll)

/** Samples one connection from time to time, and probes it, for one watcher. */
export class Attention implements Asker, Scheduled<Attention>, SocketName {
  readonly isPatient = true
  readonly isCertain = true
  deadline: number | undefined
  enoughAt: number | undefined
  slot = 0
  before: Attention | undefined
  after: Attention | undefined
  readonly #core: NativeCore
  readonly #subject: Subject
  #heartbeat: Heartbeat | undefined
  readonly #concerned: Concerned
  #pulse: Pulse | undefined
  #own: Keepalive | undefined
  /** The kernel's clock less performance.now(), ms. */
  #offset = 0
  #isAsking = false
  #isOver = false

  constructor(
    core: NativeCore,
    handle: Handle,
    cookie: bigint,
    heartbeat: Heartbeat | undefined,
    concerned: Concerned,
  ) {
    this.#core = core
    this.#subject = { cookie, handle }
    this.#heartbeat = heartbeat
    this.#concerned = concerned
    this.renew()
  }

  get core(): NativeCore {
    return this.#core
  }

  get fd(): number {
    return this.#subject.handle?.fd ?? -1
  }

  get cookie(): bigint {
    return this.#subject.cookie
  }

  get attempts(): number {
    return this.#heartbeat!.attempts
  }

  get timeout(): number {
    return this.#heartbeat!.timeout
  }

  get isWary(): boolean {
    return this.#concerned.isWary
  }

  /** Samples again, after {@link Concerned.isWary} or the heartbeat has changed. */
  renew(): void {
    schedule.at(this, performance.now())
  }

  /** Another heartbeat, or none. */
  beat(heartbeat: Heartbeat | undefined): void {
    this.#withdraw()
    this.#giveBack()
    this.#heartbeat = heartbeat
    if (this.#pulse) {
      renewPulse(this.#pulse, this.#pulse.heardAt, heartbeat, Math.random())
      this.#pulse.isSpread = false
    }
    this.renew()
  }

  stop(): void {
    this.#isOver = true
    this.#withdraw()
    this.#giveBack()
    schedule.cancel(this)
  }

  /** `options` where it is wary. */
  see(look: Look, options?: Keepalive): void {
    if (this.#isOver) return
    this.#offset = look.seenAt - performance.now()
    this.#own = options && (liftedBy(this.cookie)?.own ?? options)
    this.#pulse ??= firstPulse(look, this.#heartbeat, Math.random())
    const pulse = this.#pulse
    // A suspicion must be noticed before the answer is overdue.
    if (options) this.#giveBack()
    const wasLent = isLent(pulse)
    const event = attend(pulse, look, this.#own, this.#heartbeat, Math.random())
    if (wasLent && !isLent(pulse)) giveBack(this.#core, this)
    if (pulse.isToBeAsked) this.#ask()
    this.#lookAgain(pulse.lookAt)
    if (event === 'suspect') this.#concerned.suspected(suspicionOf(look), look.seenAt - look.heardAt)
    else if (event === 'recover') this.#concerned.recovered()
  }

  /** Calls listeners only after the probe has ended, since they may probe, tune or close the same connection. */
  resolve(result: ProbeResult): void {
    queueMicrotask(() => this.#answered(result))
  }

  /** The kernel refused a probe. The next one may succeed, so only a closed descriptor ends the heartbeat. */
  reject(error: Error): void {
    if (!this.#isAsking) return
    this.#isAsking = false
    if (isGone(error)) return
    warnOnce(error)
    this.#askAgainAt(performance.now() + this.#offset + this.#heartbeat!.every)
  }

  /** The connection could not be read this time. */
  unseen(errno: number): void {
    const error = descriptorError(errno, this.fd)
    if (this.#isOver || isGone(error)) return
    warnOnce(error)
    schedule.at(this, performance.now() + (this.#heartbeat?.every ?? UNSEEN_WAIT))
  }

  /** Handles the result of a heartbeat's probe. */
  #answered(result: ProbeResult): void {
    if (!this.#isAsking) return
    this.#isAsking = false
    if (result.evidence === 'closed') return
    if (result.alive === false) {
      this.#concerned.silent(result)
      return
    }
    const now = performance.now() + this.#offset
    if (result.alive) this.#heard(now - result.idleFor, now, result.rtt)
    // The kernel probes by itself, but not often enough yet. With a closed window it rarely does.
    else this.#askAgainAt(now + (result.evidence === 'window-probe' ? this.#heartbeat!.every : 0))
  }

  #ask(): void {
    const pulse = this.#pulse!
    if (isLent(pulse)) takeBack(pulse)
    this.#isAsking = true
    this.deadline = undefined
    this.enoughAt = undefined
    askOne(this.#core, this.#subject, this)
  }

  #withdraw(): void {
    if (!this.#isAsking) return
    this.#isAsking = false
    withdraw(this.cookie, this)
  }

  #lookAgain(lookAt: number): void {
    const isForBeat = this.#heartbeat !== undefined && lookAt === this.#pulse!.beatAt
    schedule.at(this, lookAt - this.#offset, isForBeat ? slotOf(this.#heartbeat!) : SLOT)
  }

  /** @param rtt if the peer acknowledged the first attempt. */
  #heard(heardAt: number, now: number, rtt: number | undefined): void {
    const pulse = this.#pulse!
    const wasSuspect = pulse.isSuspect
    if (rtt !== undefined && rtt <= this.#heartbeat!.timeout && pulse.isSpread) this.#lend(pulse)
    answeredPulse(pulse, heardAt, this.#heartbeat!, Math.random())
    const { beatAt } = pulse
    this.#lookAgain(this.#own ? Math.min(beatAt, calmUntil({ seenAt: now, heardAt }, this.#own)) : beatAt)
    if (wasSuspect) this.#concerned.recovered()
  }

  #lend(pulse: Pulse): void {
    if (this.isWary) return
    const clock = clockToLend(this.#heartbeat!)
    if (clock !== undefined && liftedCount() < MOST_LENT && lend(this.#core, this, clock))
      lendPulse(pulse, clock)
  }

  #giveBack(): void {
    if (!this.#pulse || !isLent(this.#pulse)) return
    takeBack(this.#pulse)
    giveBack(this.#core, this)
  }

  #askAgainAt(beatAt: number): void {
    this.#pulse!.beatAt = beatAt
    this.#lookAgain(beatAt)
  }
}

/** When a connection that could not be read, and has no heartbeat, is sampled again, ms. */
const UNSEEN_WAIT = 1_000

/** The descriptor is closed, or belongs to another socket by now: Node reports that. */
function isGone(error: Error): boolean {
  return 'code' in error && ['ERR_SOCKET_CLOSED', 'ERR_NOT_TCP', 'ESTALE'].includes(error.code as string)
}

const warned = new Set<unknown>()

/** Warns once for each cause, since thousands of connections may fail at every heartbeat. */
function warnOnce(error: Error): void {
  const { code } = error as { code?: unknown }
  if (warned.has(code)) return
  warned.add(code)
  process.emitWarning(error)
}

/** Reads options only for connections whose suspicion is reported. */
function lookAtAll(all: readonly Attention[]): void {
  const wary = all.filter(({ isWary }) => isWary)
  const others = wary.length === 0 ? all : all.filter(({ isWary }) => !isWary)
  if (wary.length > 0) {
    examine(wary[0]!.core, wary).forEach((found, i) => {
      if (typeof found === 'number') wary[i]!.unseen(found)
      else wary[i]!.see(found.look, found.options)
    })
  }
  if (others.length > 0) {
    lookAt(others[0]!.core, others).forEach((look, i) => {
      if (typeof look === 'number') others[i]!.unseen(look)
      else others[i]!.see(look)
    })
  }
}

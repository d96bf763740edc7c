import type net from 'node:net'
import type { PathState } from '../connection/destinations.js'
import { type ConnectionPath, isAckOnly, showsAnsweredProbe } from '../connection/path.js'
import { pathOf } from '../connection/record.js'
import type { Handle } from '../connection/target.js'
import type { NativeCore } from '../kernel/binding.js'
import { descriptorError } from '../kernel/failure.js'
import {
  type Keepalive,
  type Sample,
  type SocketName,
  sampleAll,
  sampleWithOptions,
} from '../kernel/liveness.js'
import { baseOf, overlayCount, overlayOf, startBeating, stopBeating } from '../overlay/overlay.js'
import { type Confirm, send } from '../probe/confirm.js'
import { isUnproven, type ProbeResult } from '../probe/result.js'
import { restoreLater, startProbe, withdraw } from '../probe/sessions.js'
import type { Subject } from '../probe/subject.js'
import type { Waiter } from '../probe/waiters.js'
import { DueQueue, type Queued } from './due-queue.js'
import {
  afterAnswer,
  beginKernelBeats,
  calmUntil,
  endKernelBeats,
  firstState,
  type Heartbeat,
  type HeartbeatState,
  kernelBeats,
  kernelPeriod,
  MOST_BEATING,
  observe,
  probeAgainAt,
  renewState,
  SLOT,
  slotOf,
  suspicionOf,
} from './heartbeat-state.js'

/** Receives what a {@link ConnectionMonitor} finds. */
export interface MonitorListener {
  /** Whether to report suspicion. If not, only the heartbeat's probes are sent. */
  readonly wantsSuspicion: boolean
  readonly socket: net.Socket
  suspected(evidence: string, silentFor: number, path: PathState): void
  recovered(): void
  /** All attempts of a heartbeat went unanswered. */
  silent(result: ProbeResult): void
}

/** What a watcher does before silence becomes a death. */
export interface Proof {
  /** Whether silence is a death on a path that is not known to answer probes. */
  readonly trustsSilence: boolean
  readonly confirm: Confirm | undefined
}

const queue = new DueQueue<ConnectionMonitor>(sampleMonitors)

/** Samples and probes one connection, for one watcher. */
export class ConnectionMonitor implements Waiter, Queued<ConnectionMonitor>, SocketName {
  readonly unref = true
  readonly isCertain = true
  readonly trustsSilence: boolean
  readonly confirm?: () => void
  confirmBy: number | undefined
  deadline: number | undefined
  enoughAt: number | undefined
  slot = 0
  before: ConnectionMonitor | undefined
  after: ConnectionMonitor | undefined
  readonly #core: NativeCore
  readonly #subject: Subject
  #heartbeat: Heartbeat | undefined
  readonly #listener: MonitorListener
  readonly #path: ConnectionPath
  #state: HeartbeatState | undefined
  #own: Keepalive | undefined
  /** The kernel's clock minus performance.now(), ms. */
  #offset = 0
  #isProbing = false
  #isOver = false

  constructor(
    core: NativeCore,
    handle: Handle,
    cookie: bigint,
    heartbeat: Heartbeat | undefined,
    listener: MonitorListener,
    { trustsSilence, confirm }: Proof,
  ) {
    this.trustsSilence = trustsSilence
    if (confirm) this.confirm = () => send(confirm, listener.socket)
    this.#path = pathOf(handle)
    this.#core = core
    this.#subject = { cookie, handle }
    this.#heartbeat = heartbeat
    this.#listener = listener
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

  get wantsSuspicion(): boolean {
    return this.#listener.wantsSuspicion
  }

  /** Samples again, after {@link MonitorListener.wantsSuspicion} or the heartbeat has changed. */
  renew(): void {
    queue.at(this, performance.now())
  }

  /** Changes the heartbeat. `undefined`: none. */
  beat(heartbeat: Heartbeat | undefined): void {
    this.#withdraw()
    this.#endKernelBeats()
    this.#heartbeat = heartbeat
    if (this.#state) {
      renewState(this.#state, this.#state.heardAt, heartbeat, Math.random())
      this.#state.isSpread = false
    }
    this.renew()
  }

  stop(): void {
    this.#isOver = true
    this.#withdraw()
    this.#endKernelBeats()
    queue.cancel(this)
  }

  /** @param options given if suspicion is wanted. */
  observe(sample: Sample, options?: Keepalive): void {
    if (this.#isOver) return
    this.#offset = sample.sampledAt - performance.now()
    this.#own = options && this.#ownOptions(options)
    this.#state ??= firstState(sample, this.#heartbeat, Math.random(), this.#isKnownToAnswer)
    const state = this.#state
    // A suspicion must be noticed before the answer is overdue.
    if (options) this.#endKernelBeats()
    const didKernelBeat = kernelBeats(state)
    this.#path.observe(this.#core, this.fd, sample)
    if (this.#own && showsAnsweredProbe(sample, this.#own)) this.#path.answered(this.#core, this.fd, sample)
    const isHeard = sample.heardAt > state.heardAt
    const event = observe(state, sample, this.#own, this.#heartbeat, Math.random())
    if (isHeard && kernelBeats(state) && isAckOnly(sample)) this.#path.answered(this.#core, this.fd, sample)
    if (didKernelBeat && !kernelBeats(state)) this.#stopBeating()
    else if (overlayOf(this.cookie)?.clock) restoreLater(this.#core, this.#subject)
    if (state.isToBeProbed) this.#probe()
    this.#sampleAgain(state.sampleAt)
    if (event === 'suspect') {
      const path = this.#path.state(this.#core, this.fd)
      this.#listener.suspected(suspicionOf(sample, path), sample.sampledAt - sample.heardAt, path)
    } else if (event === 'recover') this.#listener.recovered()
  }

  /** Calls listeners only after the probe has ended, since they may probe, tune or close the same connection. */
  resolve(result: ProbeResult): void {
    queueMicrotask(() => this.#answered(result))
  }

  /** The kernel refused a probe. The next one may succeed, so only a closed descriptor ends the heartbeat. */
  reject(error: Error): void {
    if (!this.#isProbing) return
    this.#isProbing = false
    if (isGone(error)) return
    warnOnce(error)
    this.#probeAgainAt(performance.now() + this.#offset + this.#heartbeat!.every)
  }

  /** A connection without a heartbeat is never probed, so the path does not matter. */
  get #isKnownToAnswer(): boolean {
    return !this.#heartbeat || this.#path.state(this.#core, this.fd) === 'answers'
  }

  #ownOptions(options: Keepalive): Keepalive {
    const overlay = overlayOf(this.cookie)
    return overlay ? baseOf(overlay) : options
  }

  /** The connection could not be read this time. */
  unread(errno: number): void {
    const error = descriptorError(errno, this.fd)
    if (this.#isOver || isGone(error)) return
    warnOnce(error)
    queue.at(this, performance.now() + (this.#heartbeat?.every ?? UNREAD_WAIT))
  }

  /** Handles the result of a heartbeat's probe. */
  #answered(result: ProbeResult): void {
    if (!this.#isProbing) return
    this.#isProbing = false
    if (result.evidence === 'closed') return
    if (result.alive === false) {
      this.#listener.silent(result)
      return
    }
    const now = performance.now() + this.#offset
    if (result.alive) this.#heard(now - result.idleFor, now, result.rtt)
    else if (isUnproven(result)) this.#probeAgainAt(probeAgainAt(now, result.idleFor, this.#heartbeat!))
    // The kernel probes on its own timer, but has not sent enough probes yet. With a closed window it rarely probes.
    else this.#probeAgainAt(now + (result.evidence === 'window-probe' ? this.#heartbeat!.every : 0))
  }

  #probe(): void {
    const state = this.#state!
    if (kernelBeats(state)) endKernelBeats(state)
    this.#isProbing = true
    this.confirmBy = undefined
    this.deadline = undefined
    this.enoughAt = undefined
    startProbe(this.#core, this.#subject, this)
  }

  #withdraw(): void {
    if (!this.#isProbing) return
    this.#isProbing = false
    withdraw(this.cookie, this)
  }

  #sampleAgain(sampleAt: number): void {
    const isForBeat = this.#heartbeat !== undefined && sampleAt === this.#state!.beatAt
    queue.at(this, sampleAt - this.#offset, isForBeat ? slotOf(this.#heartbeat!) : SLOT)
  }

  /** @param rtt if the peer acknowledged the first attempt. */
  #heard(heardAt: number, now: number, rtt: number | undefined): void {
    const state = this.#state!
    const wasSuspect = state.isSuspect
    if (rtt !== undefined && rtt <= this.#heartbeat!.timeout && state.isSpread) this.#beginKernelBeats(state)
    afterAnswer(state, heardAt, this.#heartbeat!, Math.random())
    const { beatAt } = state
    this.#sampleAgain(
      this.#own ? Math.min(beatAt, calmUntil({ sampledAt: now, heardAt }, this.#own)) : beatAt,
    )
    if (wasSuspect) this.#listener.recovered()
  }

  #beginKernelBeats(state: HeartbeatState): void {
    if (this.wantsSuspicion) return
    const every = kernelPeriod(this.#heartbeat!)
    if (every === undefined || overlayCount() >= MOST_BEATING) return
    if (startBeating(this.#core, this, every)) beginKernelBeats(state, every)
  }

  #endKernelBeats(): void {
    if (!this.#state || !kernelBeats(this.#state)) return
    endKernelBeats(this.#state)
    this.#stopBeating()
  }

  #stopBeating(): void {
    if (stopBeating(this.#core, this)) restoreLater(this.#core, this.#subject)
  }

  #probeAgainAt(beatAt: number): void {
    this.#state!.beatAt = beatAt
    this.#sampleAgain(beatAt)
  }
}

/** When a connection that could not be read, and has no heartbeat, is sampled again, ms. */
const UNREAD_WAIT = 1_000

/** Whether the descriptor is closed or now belongs to another socket. Node reports that. */
function isGone(error: Error): boolean {
  return 'code' in error && ['ERR_SOCKET_CLOSED', 'ERR_NOT_TCP', 'ESTALE'].includes(error.code as string)
}

const warned = new Set<unknown>()

/** Warns once for each cause, because thousands of connections may fail at every heartbeat. */
function warnOnce(error: Error): void {
  const { code } = error as { code?: unknown }
  if (warned.has(code)) return
  warned.add(code)
  process.emitWarning(error)
}

/** Reads options only for connections whose suspicion is reported. */
function sampleMonitors(all: readonly ConnectionMonitor[]): void {
  const wanting = all.filter(({ wantsSuspicion }) => wantsSuspicion)
  const others = wanting.length === 0 ? all : all.filter(({ wantsSuspicion }) => !wantsSuspicion)
  if (wanting.length > 0) {
    sampleWithOptions(wanting[0]!.core, wanting).forEach((found, i) => {
      if (typeof found === 'number') wanting[i]!.unread(found)
      else wanting[i]!.observe(found.sample, found.options)
    })
  }
  if (others.length > 0) {
    sampleAll(others[0]!.core, others).forEach((sample, i) => {
      if (typeof sample === 'number') others[i]!.unread(sample)
      else others[i]!.observe(sample)
    })
  }
}

import { type EventEmitter, errorMonitor } from 'node:events'
import type net from 'node:net'
import { type CloseListener, releaseCloseSnapshot, requestCloseSnapshot } from '../connection/close-hook.js'
import { type CloseSnapshot, type FinalState, readFinalState } from '../connection/close-snapshot.js'
import { type Endpoints, readEndpoints } from '../connection/endpoints.js'
import { type ConnectionRecord, recordOf } from '../connection/record.js'
import {
  descriptorOf,
  handleOf,
  isReading,
  isWriting,
  mayConnect,
  noDescriptor,
} from '../connection/target.js'
import { describeErrno, PeerDeathError } from '../errors.js'
import { seconds, times } from '../format.js'
import type { NativeCore } from '../kernel/binding.js'
import { type KernelEvent as Sighting, unwatchDescriptor, watchDescriptor } from '../kernel/deathwatch.js'
import { persist } from '../kernel/failure.js'
import { isGivenUp, type TcpInfo, TcpState } from '../kernel/tcp-info.js'
import type { ProbeResult } from '../probe/result.js'
import type { Profile } from '../profile/profile.js'
import {
  causeOf,
  isDeadly,
  isOver,
  isReset,
  isTimeout,
  judgeSighting,
  needsOptions,
  type Progress,
} from './cause.js'
import type { Heartbeat } from './heartbeat-state.js'
import { ConnectionMonitor, type MonitorListener } from './monitor.js'

/** A death as it was found, before anybody has decided what to do about it. */
export interface Found {
  readonly detectedBy: 'kernel' | 'heartbeat' | 'node'
  readonly error: PeerDeathError<TcpInfo>
}

/** Who watches. At most one of `died` and `closed` is called, and once; nothing is called after {@link Watched.stop}. */
export interface Owner {
  /** Whether anybody wants to hear of suspicion. */
  readonly wantsSuspicion: boolean
  /** Whether anybody wants to hear of peers that close their side. */
  hearsClosing(): boolean
  suspected(watched: Watched, evidence: string, silentFor: number): void
  recovered(watched: Watched): void
  closing(watched: Watched, sighting: Sighting | undefined): void
  died(watched: Watched, found: Found): void
  closed(watched: Watched): void
  /** It was to be watched once it is connected, and could not. It is watched no more. */
  failed(watched: Watched, error: Error): void
}

/** Whose an error is: streams that are piped are destroyed with each other's. */
const victims = new WeakMap<Error, net.Socket>()

/** One socket in the eyes of one watcher: what the kernel says of it, and what Node says. */
export class Watched implements MonitorListener, CloseListener {
  readonly socket: net.Socket
  /** Of this one connection: a socket may connect again. */
  readonly record: ConnectionRecord
  readonly #core: NativeCore | undefined
  readonly #owner: Owner
  /** 0: the deathwatch does not have it. */
  #id = 0
  #isStopped = false
  #isDestroying = false
  #isClosing = false
  /** What the kernel reported of the end. */
  #sighting: Sighting | undefined
  #isLeftToNode = false
  #final: FinalState | undefined
  #heartbeat: Heartbeat | undefined
  #monitor: ConnectionMonitor | undefined

  constructor(
    core: NativeCore | undefined,
    socket: net.Socket,
    owner: Owner,
    heartbeat: Heartbeat | undefined,
  ) {
    this.#core = core
    this.socket = socket
    this.#heartbeat = heartbeat
    this.#owner = owner
    this.record = recordOf(socket)
  }

  /** @throws where it cannot be watched; nothing is left behind then. */
  start(): void {
    const { socket } = this
    if (socket.destroyed) throw noDescriptor(socket)
    const connecting = mayConnect(socket)
    if (!connecting) this.#watchConnected()
    else socket.prependOnceListener('connect', this.#onConnect)
    const emitter: EventEmitter = socket
    emitter.on(errorMonitor, this.#onError)
    // The kernel reports the peer's FIN.
    if (!this.#core) socket.on('end', this.#onEnd)
    requestCloseSnapshot(this.#core, socket, this)
  }

  /** Read at the first event: to read it when the socket is added would take a tenth of the time that adding does. */
  get endpoints(): Endpoints {
    this.record.endpoints ??= readEndpoints(this.#core, this.socket)
    return this.record.endpoints
  }

  get isStopped(): boolean {
    return this.#isStopped
  }

  stop(): void {
    const { socket } = this
    // An emitter calls the listeners that it had when it began, also those that were removed since.
    this.#isStopped = true
    this.#monitor?.stop()
    this.#monitor = undefined
    const emitter: EventEmitter = socket
    emitter.off(errorMonitor, this.#onError)
    socket.off('end', this.#onEnd)
    socket.off('connect', this.#onConnect)
    if (this.#id > 0) unwatchDescriptor(this.#core!, this.#id, this.#onSighting)
    this.#id = 0
    releaseCloseSnapshot(socket, this)
  }

  /** Another heartbeat, or none. */
  beat(heartbeat: Heartbeat | undefined): void {
    if (heartbeat === this.#heartbeat) return
    this.#heartbeat = heartbeat
    if (this.#monitor) this.#monitor.beat(heartbeat)
    else this.startMonitor()
  }

  /** Looks at the connection now and then, where somebody wants to know sooner than the kernel. */
  startMonitor(): void {
    this.#monitor?.renew()
    if (this.#monitor) return
    const handle = handleOf(this.socket)
    if (!this.#core || !handle || this.#id === 0 || !(this.#heartbeat || this.#owner.wantsSuspicion)) return
    const cookie = persist(() => this.#core!.readCookie(handle.fd ?? -1))
    if (typeof cookie === 'bigint') {
      this.#monitor = new ConnectionMonitor(this.#core, handle, cookie, this.#heartbeat, this)
    }
  }

  /** Whether there is something to be read that the peer sent before it closed its side. */
  get isToBeRead(): boolean {
    if (!this.#isClosing || this.socket.readableEnded) return false
    return (this.#sighting?.unread ?? 0) + this.socket.readableLength > 0
  }

  /**
   * Ends the socket. The one moment at which its error may be taken from Node; with that the cause may turn out to be
   * another, so what was found is returned anew. `undefined` where the peer had closed its side before: then the program reads to the
   * end first, and the socket stays watched.
   */
  destroy(found: Found): Found | undefined {
    const isKernels = found.detectedBy !== 'heartbeat'
    const errno = isKernels ? this.#sighting?.takeError(this.#core!, descriptorOf(this.socket)) : undefined
    if (errno === 'EPIPE' && !this.socket.readableEnded) {
      this.#closedBeforeReset()
      return undefined
    }
    const final = errno === undefined ? found : this.#found('kernel', errno)
    victims.set(final.error, this.socket)
    // This is what it is destroyed with, and no news.
    this.#isDestroying = true
    this.socket.destroy(final.error)
    return final
  }

  get wantsSuspicion(): boolean {
    return this.#owner.wantsSuspicion
  }

  suspected(evidence: string, silentFor: number): void {
    if (!this.#isStopped) this.#owner.suspected(this, evidence, silentFor)
  }

  recovered(): void {
    if (!this.#isStopped) this.#owner.recovered(this)
  }

  silent(result: ProbeResult): void {
    if (this.#isStopped || this.socket.destroyed) return
    const info = readFinalState(this.#core!, descriptorOf(this.socket))?.info
    const error = new PeerDeathError('heartbeat', heartbeatWords(result), info)
    this.#owner.died(this, { detectedBy: 'heartbeat', error })
  }

  #watchConnected(): void {
    if (!this.#core) {
      // Once Node has closed the socket it does not tell the local address.
      this.record.endpoints = readEndpoints(undefined, this.socket)
      return
    }
    const fd = descriptorOf(this.socket)
    if (fd < 0) throw noDescriptor(this.socket)
    this.#id = watchDescriptor(this.#core, fd, this.#onSighting)
    this.startMonitor()
  }

  readonly #onConnect = () => {
    if (this.#isStopped) return
    // From now on the record is kept on the handle.
    recordOf(this.socket)
    try {
      this.#watchConnected()
    } catch (error) {
      this.#owner.failed(this, error as Error)
    }
  }

  readonly #onSighting = (sighting: Sighting) => {
    // Where it is destroyed Node was faster: its error is about to be emitted, or the program has closed it.
    if (this.#isStopped || this.socket.destroyed) return
    const profile = needsOptions(sighting) ? this.#profileNow() : {}
    const judgement = judgeSighting(sighting, profile, this.#progress)
    this.#final = { info: sighting.info, profile }
    this.#sighting = sighting
    if (judgement === 'closing') this.#closing(sighting)
    else if (judgement === 'left-to-node') this.#leaveToNode(sighting)
    else if (judgement === 'dead') this.#owner.died(this, this.#found('kernel'))
    else if (judgement === 'unclear') this.#diedAfterFin(sighting)
  }

  /**
   * Node finds the error in this turn of the event loop, unless the reset came together with data: libuv then reports the end of the stream
   * (`UV_EOF` at EPOLLHUP), which a paused stream keeps to itself. EPIPE says that the peer's FIN had come before.
   */
  #leaveToNode(sighting: Sighting): void {
    this.#isLeftToNode = true
    setImmediate(() => {
      const { socket } = this
      if (this.#isStopped || socket.destroyed) return
      if (this.#hasPeerEnded) {
        if (!isWriting(socket)) this.#diedAfterFin(sighting)
        return
      }
      if (socket.readableFlowing) return
      const errno = sighting.takeError(this.#core!, descriptorOf(socket))
      if (errno === 'EPIPE') this.#closedBeforeReset()
      else if (errno !== undefined) this.#owner.died(this, this.#found('kernel', errno))
    })
  }

  /**
   * `EPIPE`: the peer's FIN had come before the reset, and the kernel reported both at once. Node reads what was sent, and the end, with
   * no error.
   */
  #closedBeforeReset(): void {
    this.#closing(this.#sighting)
    this.socket.on('end', this.#onEnd)
  }

  /** After the peer's FIN Node needs no SO_ERROR: it reads the end of the stream, whether there is an error or not. */
  #diedAfterFin(sighting: Sighting): void {
    this.#closing(sighting)
    const errno = sighting.takeError(this.#core!, descriptorOf(this.socket))
    if (errno === undefined) return
    if (isTimeout(errno)) this.#owner.died(this, this.#found('kernel', errno))
    else if (this.socket.readableEnded) this.#resetWhileHalfOpen()
    else this.socket.on('end', this.#onEnd)
  }

  /** A reset matters to a program that has read the end and keeps its own side open. */
  #resetWhileHalfOpen(): void {
    const { socket } = this
    if (this.#isStopped || socket.destroyed || socket.writableEnded) return
    this.#owner.died(
      this,
      this.#found('kernel', this.#sighting?.takeError(this.#core!, descriptorOf(socket))),
    )
  }

  get #progress(): Progress {
    const { socket } = this
    return {
      peerEnded: this.#hasPeerEnded,
      weEnded: socket.writableEnded,
      isReading: isReading(socket),
      isWriting: isWriting(socket),
    }
  }

  #profileNow(): Profile {
    return readFinalState(this.#core!, descriptorOf(this.socket))?.profile ?? {}
  }

  /** Before any `'error'` listener, and without being one: where there is none, the program crashes as it should. */
  readonly #onError = (error: unknown) => {
    // A program may emit anything.
    if (this.#isStopped || !(error instanceof Error)) return
    const victim = victims.get(error)
    if (error instanceof PeerDeathError) {
      // Another watcher's.
      const detectedBy = error.reason === 'heartbeat' ? 'heartbeat' : 'kernel'
      if (victim === this.socket) this.#owner.died(this, { detectedBy, error })
      return
    }
    const errno = deadlyErrno(error)
    if (errno === undefined || (victim && victim !== this.socket)) return
    this.#final = this.record.closeSnapshot?.final
    if (this.#final && !isOver(this.#final, errno)) return
    victims.set(error, this.socket)
    if (isReset(errno) && this.#haveBothEnded) return
    this.#owner.died(this, this.#found('node', errno, error))
  }

  readonly #onEnd = () => {
    this.#closing(undefined)
    // Once the program and Node have ended their side, if they do.
    if (this.#core) setImmediate(() => this.#resetWhileHalfOpen())
  }

  /** What `'error'` or the close is about to tell needs the addresses, and those cannot be read afterwards. */
  beforeClose(snapshot: CloseSnapshot | undefined): void {
    if (this.#isStopped) return
    const mayBeDeath = snapshot?.final !== undefined || this.#isLeftToNode
    const mayBeClosing = this.#owner.hearsClosing() && !this.#isClosing
    if (mayBeDeath || mayBeClosing) this.record.endpoints ??= readEndpoints(this.#core, this.socket)
  }

  afterClose(error: Error | null): void {
    if (this.#isStopped || this.#isDestroying) return
    // Node may have read the FIN and closed before the kernel's report came.
    if (this.socket.readableEnded) this.#closing(undefined)
    // For a program that has removed all listeners.
    if (error) this.#onError(error)
    if (this.#isStopped) return
    if (!this.#hasDied()) {
      this.#owner.closed(this)
      return
    }
    const snapshot = this.record.closeSnapshot
    this.#final = snapshot?.final
    this.#owner.died(
      this,
      this.#found('node', snapshot?.errno ?? (this.#isLeftToNode ? 'ECONNRESET' : undefined)),
    )
  }

  /** Its FIN may have arrived, and been read, before the socket was added. */
  get #hasPeerEnded(): boolean {
    return this.#isClosing || this.socket.readableEnded
  }

  get #haveBothEnded(): boolean {
    return this.#hasPeerEnded && this.socket.writableEnded
  }

  /** Whether a connection that Node closed without an error of its own was dead. */
  #hasDied(): boolean {
    // An attempt that never connected is no connection that died.
    if (this.#id === 0) return false
    const { state, errno, final } = this.record.closeSnapshot ?? {}
    if (errno !== undefined) return isTimeout(errno)
    if (this.#haveBothEnded) return false
    if (final && isGivenUp(final.info)) return true
    // Node took the error, and reported it elsewhere: on the TLSSocket over this one.
    return this.#isLeftToNode && !this.#hasPeerEnded && state === TcpState.CLOSE
  }

  #closing(sighting: Sighting | undefined): void {
    if (this.#isStopped || this.#isClosing) return
    this.#isClosing = true
    this.#owner.closing(this, sighting)
  }

  #found(detectedBy: Found['detectedBy'], errno?: string, cause?: Error): Found {
    const { reason, evidence } = causeOf(this.#final, errno)
    const error = new PeerDeathError(reason, evidence, this.#final?.info, cause && { cause })
    return { detectedBy, error }
  }
}

function heartbeatWords({ evidence, attempts, idleFor }: ProbeResult): string {
  const what = evidence === 'retransmitting' ? 'transmission' : 'probe'
  return `${times(attempts, what)} unanswered, silent for ${seconds(idleFor)}`
}

/** The kernel's own errors, not those of the same name that programs make, about a connection that had been there. */
function deadlyErrno({ errno, syscall }: NodeJS.ErrnoException): string | undefined {
  if (errno === undefined || !(syscall === 'read' || syscall === 'write' || syscall === 'shutdown')) {
    return undefined
  }
  const { name } = describeErrno(errno)
  return isDeadly(name) ? name : undefined
}

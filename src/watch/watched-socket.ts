import { type EventEmitter, errorMonitor } from 'node:events'
import type net from 'node:net'
import { type CloseListener, releaseCloseSnapshot, requestCloseSnapshot } from '../connection/close-hook.js'
import { type CloseSnapshot, type FinalState, readFinalState } from '../connection/close-snapshot.js'
import type { PathState } from '../connection/destinations.js'
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
import { PeerDeathError } from '../errors.js'
import { seconds, times } from '../format.js'
import type { NativeCore } from '../kernel/binding.js'
import { type KernelEvent, unwatchDescriptor, watchDescriptor } from '../kernel/deathwatch.js'
import { persist } from '../kernel/failure.js'
import type { ProbeResult } from '../probe/result.js'
import { type FoundDeath, foundDeath, isTimeout, judgeKernelEvent, needsOptions } from './cause.js'
import { type ConnectionState, claimError, deathByError, deathWithoutError } from './closed-by-node.js'
import type { Heartbeat } from './heartbeat-state.js'
import { ConnectionMonitor, type MonitorListener, type Proof } from './monitor.js'

/**
 * Receives the events of one watcher's sockets. For each socket `died`, `closed` or `failed` is called, at most one of them and once. Nothing is
 * called after {@link WatchedSocket.stop}.
 */
export interface SocketListener {
  /** Whether to report suspicions. */
  readonly wantsSuspicion: boolean
  /** Whether to report peers that close their side. */
  wantsClosing(): boolean
  suspected(watched: WatchedSocket, evidence: string, silentFor: number, path: PathState): void
  recovered(watched: WatchedSocket): void
  closing(watched: WatchedSocket, event: KernelEvent | undefined): void
  died(watched: WatchedSocket, found: FoundDeath): void
  closed(watched: WatchedSocket): void
  /** The socket was connecting when it was added, and could not be watched once it was connected. */
  failed(watched: WatchedSocket, error: Error): void
}

/** One socket of one watcher. It combines the kernel's reports with Node's handling of the socket. */
export class WatchedSocket implements MonitorListener, CloseListener, ConnectionState {
  readonly socket: net.Socket
  /** The record of this connection. If the socket connects again, that is another record. */
  readonly record: ConnectionRecord
  /** Only this class writes this field and the next. */
  isStopped = false
  isLeftToNode = false
  readonly #core: NativeCore | undefined
  readonly #listener: SocketListener
  /** The id from {@link watchDescriptor}; 0: the kernel does not watch it. */
  #id = 0
  #isDestroying = false
  #isClosing = false
  /** The last event that the kernel reported. */
  #kernelEvent: KernelEvent | undefined
  #final: FinalState | undefined
  #heartbeat: Heartbeat | undefined
  readonly #proof: Proof
  #monitor: ConnectionMonitor | undefined
  #onConnect: (() => void) | undefined
  #onEnd: (() => void) | undefined

  constructor(
    core: NativeCore | undefined,
    socket: net.Socket,
    listener: SocketListener,
    heartbeat: Heartbeat | undefined,
    proof: Proof,
  ) {
    this.#proof = proof
    this.#core = core
    this.socket = socket
    this.#heartbeat = heartbeat
    this.#listener = listener
    this.record = recordOf(socket)
  }

  get isWatchedByKernel(): boolean {
    return this.#id !== 0
  }

  /** Whether the peer has closed its side. The FIN may have been read before the socket was added. */
  get hasPeerEnded(): boolean {
    return this.#isClosing || this.socket.readableEnded
  }

  /** Whether data that the peer sent before it closed its side is still unread. */
  get hasUnreadData(): boolean {
    if (!this.#isClosing || this.socket.readableEnded) return false
    return (this.#kernelEvent?.unread ?? 0) + this.socket.readableLength > 0
  }

  /** Read at the first event. Reading them when the socket is added would make `add` a tenth slower. */
  get endpoints(): Endpoints {
    this.record.endpoints ??= readEndpoints(this.#core, this.socket)
    return this.record.endpoints
  }

  /** Whether the path answers probes. `undefined` if no probe and no heartbeat has needed it. */
  get path(): PathState | undefined {
    return this.record.path && this.#core && this.record.path.state(this.#core, descriptorOf(this.socket))
  }

  get wantsSuspicion(): boolean {
    return this.#listener.wantsSuspicion
  }

  /** @throws if it cannot be watched; nothing is left behind then. */
  start(): void {
    const { socket } = this
    if (socket.destroyed) throw noDescriptor(socket)
    if (mayConnect(socket)) {
      this.#onConnect = () => this.#startOnceConnected()
      socket.prependOnceListener('connect', this.#onConnect)
    } else {
      this.#watchDescriptor()
    }
    const emitter: EventEmitter = socket
    emitter.on(errorMonitor, this.#onError)
    // With the native core, the kernel reports the peer's FIN.
    if (!this.#core) this.#listenForEnd()
    requestCloseSnapshot(this.#core, socket, this)
  }

  stop(): void {
    const { socket } = this
    // An emitter also calls listeners that were removed while it was emitting.
    this.isStopped = true
    this.#monitor?.stop()
    this.#monitor = undefined
    const emitter: EventEmitter = socket
    emitter.off(errorMonitor, this.#onError)
    if (this.#onEnd) socket.off('end', this.#onEnd)
    if (this.#onConnect) socket.off('connect', this.#onConnect)
    if (this.#id > 0) unwatchDescriptor(this.#core!, this.#id, this.#onKernelEvent)
    this.#id = 0
    releaseCloseSnapshot(socket, this)
  }

  /** Changes the heartbeat. `undefined`: none. */
  setHeartbeat(heartbeat: Heartbeat | undefined): void {
    if (heartbeat === this.#heartbeat) return
    this.#heartbeat = heartbeat
    if (this.#monitor) this.#monitor.beat(heartbeat)
    else this.startMonitor()
  }

  /** Samples the connection from time to time if there is a heartbeat or a listener for suspicions. */
  startMonitor(): void {
    this.#monitor?.renew()
    if (this.#monitor) return
    const handle = handleOf(this.socket)
    if (!this.#core || !handle || !this.isWatchedByKernel) return
    if (!this.#heartbeat && !this.#listener.wantsSuspicion) return
    const cookie = this.record.cookie ?? persist(() => this.#core!.readCookie(handle.fd ?? -1))
    if (typeof cookie !== 'bigint') return
    this.record.cookie = cookie
    this.#monitor = new ConnectionMonitor(this.#core, handle, cookie, this.#heartbeat, this, this.#proof)
  }

  /**
   * Destroys the socket. Only now may its error be taken from Node. The error can reveal another cause, so the death is returned
   * anew. `undefined` if the peer had closed its side before: the program then reads to the end first, and the socket stays watched.
   */
  destroy(found: FoundDeath): FoundDeath | undefined {
    const errno = found.detectedBy === 'heartbeat' ? undefined : this.#takeError()
    if (errno === 'EPIPE' && !this.socket.readableEnded) {
      this.#closedBeforeReset()
      return undefined
    }
    const final = errno === undefined ? found : foundDeath('kernel', this.#final, errno)
    claimError(final.error, this.socket)
    // Node will emit this error, which is known already.
    this.#isDestroying = true
    this.socket.destroy(final.error)
    return final
  }

  suspected(evidence: string, silentFor: number, path: PathState): void {
    if (!this.isStopped) this.#listener.suspected(this, evidence, silentFor, path)
  }

  recovered(): void {
    if (!this.isStopped) this.#listener.recovered(this)
  }

  silent(result: ProbeResult): void {
    if (this.isStopped || this.socket.destroyed) return
    const info = readFinalState(this.#core!, descriptorOf(this.socket))?.info
    const error = new PeerDeathError('heartbeat', heartbeatWords(result), info)
    this.#listener.died(this, { detectedBy: 'heartbeat', error })
  }

  /** Reads both addresses if an event may need them, because they cannot be read after the close. */
  beforeClose(snapshot: CloseSnapshot | undefined): void {
    if (this.isStopped) return
    const mayBeDeath = snapshot?.final !== undefined || this.isLeftToNode
    const mayBeClosing = !this.#isClosing && this.#listener.wantsClosing()
    if (mayBeDeath || mayBeClosing) this.record.endpoints ??= readEndpoints(this.#core, this.socket)
  }

  afterClose(error: Error | null): void {
    if (this.isStopped || this.#isDestroying) return
    // Node may have read the FIN and closed the socket before the kernel's report came.
    if (this.socket.readableEnded) this.#closing(undefined)
    // The program may have removed all listeners, including ours.
    if (error) this.#onError(error)
    if (this.isStopped) return
    const found = deathWithoutError(this)
    if (found) this.#listener.died(this, found)
    else this.#listener.closed(this)
  }

  #startOnceConnected(): void {
    if (this.isStopped) return
    // This moves the record to the handle.
    recordOf(this.socket)
    try {
      this.#watchDescriptor()
    } catch (error) {
      this.#listener.failed(this, error as Error)
    }
  }

  #watchDescriptor(): void {
    if (!this.#core) {
      // Node no longer has the local address once it has closed the socket.
      this.record.endpoints = readEndpoints(undefined, this.socket)
      return
    }
    const fd = descriptorOf(this.socket)
    if (fd < 0) throw noDescriptor(this.socket)
    this.#id = watchDescriptor(this.#core, fd, this.#onKernelEvent)
    this.startMonitor()
  }

  readonly #onKernelEvent = (event: KernelEvent) => {
    const { socket } = this
    // A destroyed socket: Node is about to emit the error, or the program has closed it.
    if (this.isStopped || socket.destroyed) return
    const profile = needsOptions(event)
      ? (readFinalState(this.#core!, descriptorOf(socket))?.profile ?? {})
      : {}
    const judgement = judgeKernelEvent(event, profile, {
      peerEnded: this.hasPeerEnded,
      weEnded: socket.writableEnded,
      isReading: isReading(socket),
      isWriting: isWriting(socket),
    })
    this.#kernelEvent = event
    if (judgement === 'closing') this.#closing(event)
    // Most events are an orderly close. Only other events need the counters. Decoding these takes longer than the rest of this function.
    if (judgement === 'closing' || judgement === undefined) return
    this.#final = { info: event.info, profile }
    if (judgement === 'left-to-node') this.#leaveToNode()
    else if (judgement === 'dead') this.#died()
    else this.#failedAfterFin()
  }

  /**
   * Node finds the error in this turn of the event loop, unless the reset came together with data. Then libuv reports the end of the stream
   * (`UV_EOF` at EPOLLHUP), which a paused stream does not emit. EPIPE: the peer's FIN had come before the reset.
   */
  #leaveToNode(): void {
    this.isLeftToNode = true
    setImmediate(() => {
      const { socket } = this
      if (this.isStopped || socket.destroyed) return
      if (this.hasPeerEnded) {
        if (!isWriting(socket)) this.#failedAfterFin()
        return
      }
      if (socket.readableFlowing) return
      const errno = this.#takeError()
      if (errno === 'EPIPE') this.#closedBeforeReset()
      else if (errno !== undefined) this.#died(errno)
    })
  }

  /**
   * `EPIPE`: the peer's FIN had come before the reset, and the kernel reported both at once. Node reads the earlier data and
   * the end of the stream, without an error.
   */
  #closedBeforeReset(): void {
    this.#closing(this.#kernelEvent)
    this.#listenForEnd()
  }

  /** After the peer's FIN Node does not need SO_ERROR: it reads the end of the stream with or without an error. */
  #failedAfterFin(): void {
    this.#closing(this.#kernelEvent)
    const errno = this.#takeError()
    if (errno === undefined) return
    if (isTimeout(errno)) this.#died(errno)
    else if (this.socket.readableEnded) this.#resetWhileHalfOpen()
    else this.#listenForEnd()
  }

  /** A reset matters to a program that has read the end and keeps its own side open. */
  #resetWhileHalfOpen(): void {
    const { socket } = this
    if (this.isStopped || socket.destroyed || socket.writableEnded) return
    this.#died(this.#takeError())
  }

  /** Runs before any `'error'` listener. It is not an `'error'` listener itself, so without one the program still crashes as it should. */
  readonly #onError = (error: unknown) => {
    const found = this.isStopped ? undefined : deathByError(this, error)
    if (found) this.#listener.died(this, found)
  }

  #listenForEnd(): void {
    if (this.#onEnd) return
    this.#onEnd = () => {
      this.#closing(undefined)
      // Check later, because the program or Node may end this side first.
      if (this.#kernelEvent) setImmediate(() => this.#resetWhileHalfOpen())
    }
    this.socket.on('end', this.#onEnd)
  }

  #takeError(): string | undefined {
    return this.#kernelEvent?.takeError(this.#core!, descriptorOf(this.socket))
  }

  #closing(event: KernelEvent | undefined): void {
    if (this.isStopped || this.#isClosing) return
    this.#isClosing = true
    this.#listener.closing(this, event)
  }

  #died(errno?: string): void {
    this.#listener.died(this, foundDeath('kernel', this.#final, errno))
  }
}

function heartbeatWords({ evidence, attempts, idleFor }: ProbeResult): string {
  const what = evidence === 'retransmitting' ? 'transmission' : 'probe'
  return `${times(attempts, what)} unanswered, silent for ${seconds(idleFor)}`
}

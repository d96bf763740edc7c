import { type EventEmitter, errorMonitor } from 'node:events'
import type net from 'node:net'
import { causeOf, isDeadly, isOver, judgeSighting, needsOptions } from '../detect/death.js'
import type { Heartbeat } from '../detect/pulse.js'
import { seconds, times } from '../detect/words.js'
import { DeadPeerError, describeErrno } from '../errors.js'
import type { NativeCore } from '../kernel/binding.js'
import { type Sighting, takeError, unwatchDescriptor, watchDescriptor } from '../kernel/deathwatch.js'
import { persist } from '../kernel/shortage.js'
import { isGivenUp, type TcpInfo } from '../kernel/tcp-info.js'
import type { ProbeResult } from '../probe.js'
import { type FinalState, lastLook, lookBeforeClosing, readFinalState } from '../socket/last-look.js'
import type { Profile } from '../socket/profile.js'
import { descriptorOf, handleOf, mayConnect, noDescriptor } from '../socket/target.js'
import { Attention, type Concerned } from './attention.js'

/** A death as it was found, before anybody has decided what to do about it. */
export interface Found {
  readonly detectedBy: 'kernel' | 'heartbeat' | 'node'
  readonly error: DeadPeerError<TcpInfo>
}

/** Who watches. At most one of `died` and `closed` is called, and once. */
export interface Owner {
  /** Whether anybody wants to hear of suspicion. */
  readonly isWary: boolean
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
export class Watched implements Concerned {
  readonly socket: net.Socket
  readonly #core: NativeCore | undefined
  readonly #owner: Owner
  /** What stands for this one connection: a socket may connect again. */
  #connection: object
  /** 0: the deathwatch does not have it. */
  #id = 0
  #isClosing = false
  #final: FinalState | undefined
  #unread = 0
  #heartbeat: Heartbeat | undefined
  #attention: Attention | undefined

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
    this.#connection = handleOf(socket) ?? socket
  }

  get connection(): object {
    return this.#connection
  }

  /** @throws where it cannot be watched; nothing is left behind then. */
  start(): void {
    const { socket } = this
    if (socket.destroyed) throw noDescriptor(socket)
    const connecting = mayConnect(socket)
    if (!connecting) this.#watchDescriptor()
    else socket.prependListener('connect', this.#onConnect)
    const emitter: EventEmitter = socket
    emitter.on(errorMonitor, this.#onError)
    socket.on('end', this.#onEnd)
    socket.on('close', this.#onClose)
  }

  stop(): void {
    const { socket } = this
    this.#attention?.stop()
    this.#attention = undefined
    const emitter: EventEmitter = socket
    emitter.off(errorMonitor, this.#onError)
    socket.off('end', this.#onEnd)
    socket.off('close', this.#onClose)
    socket.off('connect', this.#onConnect)
    if (this.#id > 0) unwatchDescriptor(this.#core!, this.#id, this.#onSighting)
    this.#id = 0
  }

  /** Another heartbeat, or none. */
  beat(heartbeat: Heartbeat | undefined): void {
    if (heartbeat === this.#heartbeat) return
    this.#heartbeat = heartbeat
    if (this.#attention) this.#attention.beat(heartbeat)
    else this.beAttentive()
  }

  /** Looks at the connection now and then, where somebody wants to know sooner than the kernel. */
  beAttentive(): void {
    this.#attention?.renew()
    if (this.#attention) return
    const handle = handleOf(this.socket)
    if (!this.#core || !handle || this.#id === 0 || !(this.#heartbeat || this.#owner.isWary)) return
    const cookie = persist(() => this.#core!.readCookie(handle.fd ?? -1))
    if (typeof cookie === 'bigint') {
      this.#attention = new Attention(this.#core, handle, cookie, this.#heartbeat, this)
    }
  }

  /** Whether there is something to be read that the peer sent before it closed its side. */
  get isToBeRead(): boolean {
    return this.#isClosing && this.#unread + this.socket.readableLength > 0
  }

  /**
   * Ends the socket. The one moment at which its error may be taken from Node; with that the cause may turn out to be
   * another, so what was found is returned anew.
   */
  destroy(found: Found): Found {
    const isGivenUp = found.detectedBy !== 'heartbeat' && this.#id > 0
    const errno = isGivenUp ? takeError(this.#core!, this.#id) : undefined
    const final = errno === undefined ? found : this.#found('kernel', errno)
    victims.set(final.error, this.socket)
    this.socket.destroy(final.error)
    return final
  }

  get isWary(): boolean {
    return this.#owner.isWary
  }

  suspected(evidence: string, silentFor: number): void {
    this.#owner.suspected(this, evidence, silentFor)
  }

  recovered(): void {
    this.#owner.recovered(this)
  }

  silent(result: ProbeResult): void {
    if (this.socket.destroyed) return
    const info = readFinalState(this.#core!, descriptorOf(this.socket))?.info
    const error = new DeadPeerError('heartbeat', heartbeatWords(result), info)
    this.#owner.died(this, { detectedBy: 'heartbeat', error })
  }

  #watchDescriptor(): void {
    if (!this.#core) return
    const fd = descriptorOf(this.socket)
    if (fd < 0) throw noDescriptor(this.socket)
    this.#id = watchDescriptor(this.#core, fd, this.#onSighting)
    lookBeforeClosing(this.#core, this.socket)
    this.beAttentive()
  }

  readonly #onConnect = () => {
    this.#connection = handleOf(this.socket) ?? this.socket
    try {
      this.#watchDescriptor()
    } catch (error) {
      this.#owner.failed(this, error as Error)
    }
  }

  readonly #onSighting = (sighting: Sighting) => {
    // Node was faster: its error is about to be emitted, or the program has closed it.
    if (this.socket.destroyed) return
    const profile = needsOptions(sighting) ? this.#profileNow() : {}
    const judgement = judgeSighting(sighting, profile, this.socket.writableEnded)
    if (judgement === 'closing') this.#closing(sighting)
    if (judgement !== 'dead') return
    this.#final = { info: sighting.info, profile }
    this.#unread = sighting.unread
    this.#owner.died(this, this.#found('kernel'))
  }

  #profileNow(): Profile {
    return readFinalState(this.#core!, descriptorOf(this.socket))?.profile ?? {}
  }

  /** Before any `'error'` listener, and without being one: where there is none, the program crashes as it should. */
  readonly #onError = (error: unknown) => {
    // A program may emit anything.
    if (!(error instanceof Error)) return
    const victim = victims.get(error)
    if (error instanceof DeadPeerError) {
      // Another watcher's.
      const detectedBy = error.reason === 'heartbeat' ? 'heartbeat' : 'kernel'
      if (victim === this.socket) this.#owner.died(this, { detectedBy, error })
      return
    }
    const errno = deadlyErrno(error)
    if (errno === undefined || (victim && victim !== this.socket)) return
    this.#final = lastLook(this.socket)
    if (this.#final && !isOver(this.#final, errno)) return
    victims.set(error, this.socket)
    this.#owner.died(this, this.#found('node', errno, error))
  }

  readonly #onEnd = () => this.#closing(undefined)

  readonly #onClose = () => {
    const final = lastLook(this.socket)
    if (!final || !isGivenUp(final.info)) {
      this.#owner.closed(this)
      return
    }
    this.#final = final
    this.#owner.died(this, this.#found('node'))
  }

  #closing(sighting: Sighting | undefined): void {
    if (this.#isClosing) return
    this.#isClosing = true
    this.#owner.closing(this, sighting)
  }

  #found(detectedBy: Found['detectedBy'], errno?: string, cause?: Error): Found {
    const { reason, evidence } = causeOf(this.#final, errno)
    const error = new DeadPeerError(reason, evidence, this.#final?.info, cause && { cause })
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

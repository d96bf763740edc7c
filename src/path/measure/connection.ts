import type net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type tls from 'node:tls'
import { descriptorOf } from '../../connection/target.js'
import { sampleTcpInfo } from '../../inspect/sample-tcp-info.js'
import type { NativeCore } from '../../kernel/binding.js'
import { optionNames, optionTable } from '../../kernel/socket-options.js'
import { TcpState } from '../../kernel/tcp-info.js'

/** How a connection ended, and how long it had been idle then, ms. */
export interface End {
  readonly outcome: 'close' | 'reset'
  readonly idle: number
}

type Counters = Record<(typeof fields)[number], number>

const fields = [
  'state',
  'retransmits',
  'segsIn',
  'segsOut',
  'lastDataSent',
  'lastDataRecv',
  'lastAckRecv',
  'rtt',
] as const

/** The time between two samples while the kernel waits for a segment, ms. About a tick of the slowest kernel. */
const SAMPLE_EVERY = 10
/**
 * A probe counts as unacknowledged after this time, ms, or after three round trips if they are longer. The connection's own retransmission timeout is no
 * measure: the kernel takes it from earlier connections to the same address (tcp_metrics), whose handshake may have been delayed.
 */
const ANSWER = 300
/** A FIN is retransmitted after this time at the latest, ms, where the kernel has TCP_RTO_MAX_MS. */
const RTO_MAX = 1_000
/** A Linux peer answers at most one probe in 500 ms. */
export const BETWEEN_PROBES = 510
/** So many retransmission timeouts of a FIN must pass. By then the kernel has sent it four times: once more for a tail loss probe. */
const FIN_RETRANSMISSIONS = 2
/** A FIN whose fate is not known after this time counts as unacknowledged, ms. */
const LONGEST_WAIT = 60_000
/** A peer says goodbye (TLS close_notify, HTTP 408) up to this time before its FIN, ms. That does not restart the idle time. */
const GOODBYE = 1_000
/** What comes before this is a part of the handshake, such as a SYN-ACK that was sent again after 1 s, or a delayed ACK, ms. */
const SETTLING = 1_500

/**
 * A connection that a measurement may spend. It has keepalive on, with times that never come, so that the kernel probes only when
 * {@link IdleConnection.probe} says so.
 */
export class IdleConnection {
  /** The round-trip time of the handshake, ms. */
  readonly rtt: number
  readonly #core: NativeCore
  readonly #raw: net.Socket
  readonly #fd: number
  readonly #openedAt = performance.now()
  #segsIn = Number.NaN
  #segsOut = Number.NaN
  #idleSince = performance.now()
  #inexact = 0
  #idleBefore: number | undefined
  #changedAt = Number.NEGATIVE_INFINITY
  #sampledAt = Number.NEGATIVE_INFINITY
  #end: End | undefined
  #endListener: (() => void) | undefined
  /** How often the other end was heard although nothing was sent to it. */
  disturbances = 0

  /** @param stream what carries the application's data: the socket itself, or TLS on it. */
  constructor(core: NativeCore, raw: net.Socket, stream: net.Socket | tls.TLSSocket = raw) {
    this.#core = core
    this.#raw = raw
    this.#fd = descriptorOf(raw)
    const longest = optionTable.initialDelay.max / optionTable.initialDelay.unit
    this.#set('userTimeout', 0)
    this.#set('count', optionTable.count.max)
    this.#set('interval', longest)
    this.#set('initialDelay', longest)
    this.#set('enable', 1)
    this.#set('rtoMax', RTO_MAX)
    for (const each of new Set([raw, stream])) {
      each.on('error', ({ code }: NodeJS.ErrnoException) => this.#ended(code === 'EPIPE' ? 'close' : 'reset'))
      each.on('end', () => this.#ended('close'))
      each.on('close', () => this.#ended('close'))
    }
    stream.resume()
    this.rtt = (this.#sample()?.rtt ?? 0) / 1_000
  }

  /** How it ended, unless this side ended it. */
  get end(): End | undefined {
    return this.#end
  }

  /** Calls back when the other side ends the connection. */
  set onEnd(listener: (() => void) | undefined) {
    this.#endListener = listener
  }

  /** The longest time since a segment was last sent or received, as of the last {@link sample}, ms. */
  get idle(): number {
    return performance.now() - this.#idleSince
  }

  /** By how much {@link idle} may be too long, ms: the kernel does not date every segment. */
  get inexact(): number {
    return this.#inexact
  }

  /** Notes whether anything was sent or received since the last call. The idle time is as exact as the calls are frequent. */
  sample(): void {
    this.#sample()
  }

  #sample(): Counters | undefined {
    const counters = this.#counters()
    if (!counters) return undefined
    const now = performance.now()
    const { segsIn, segsOut, lastDataSent, lastDataRecv, lastAckRecv } = counters
    if (segsIn !== this.#segsIn || segsOut !== this.#segsOut) {
      // Some segments leave no trace in these times. They came or left at any time after the last sample.
      const sinceSample = now - this.#sampledAt
      const quiet = Math.min(lastDataSent, lastDataRecv, lastAckRecv, sinceSample)
      this.#inexact = Number.isFinite(sinceSample) ? quiet : 0
      const isAfterOpening = now - quiet - this.#openedAt > SETTLING
      if (segsIn > this.#segsIn && isAfterOpening) this.disturbances++
      this.#idleBefore = this.#idleSince
      this.#idleSince = now - quiet
      this.#changedAt = now
      this.#segsIn = segsIn
      this.#segsOut = segsOut
    }
    this.#sampledAt = now
    return counters
  }

  #ended(outcome: 'close' | 'reset'): void {
    if (this.#end) return
    const now = performance.now()
    const isGoodbye = now - this.#changedAt < GOODBYE && this.#idleBefore !== undefined
    const since = isGoodbye && now - this.#idleBefore! > GOODBYE ? this.#idleBefore! : this.#idleSince
    this.#end = { outcome, idle: now - since }
    this.#endListener?.()
  }

  /**
   * Sends one keepalive probe. Resolves to whether the other side acknowledged it; also `false` if the connection ended. The connection must
   * have been idle for 1 s.
   */
  async probe(): Promise<boolean> {
    const before = this.#sample()
    if (!before || this.#end) return false
    const sentAt = performance.now()
    this.#set('initialDelay', 1)
    const patience = Math.max(ANSWER, 3 * this.rtt)
    while (performance.now() - sentAt < patience) {
      await delay(SAMPLE_EVERY)
      const now = this.#counters()
      if (!now || this.#end) return false
      if (now.state === TcpState.ESTABLISHED && now.segsIn > before.segsIn) {
        // The answer belongs to the probe: it is not a sign that the other end is busy.
        this.#segsIn = now.segsIn
        this.#segsOut = now.segsOut
        this.#idleSince = performance.now()
        return true
      }
    }
    return false
  }

  /**
   * Sends a FIN and waits until the other side acknowledges it. Resolves to `silent` if it acknowledged none of three retransmissions either.
   */
  async halfClose(): Promise<'acknowledged' | 'silent' | 'reset'> {
    if (this.#end) return this.#end.outcome === 'reset' ? 'reset' : 'acknowledged'
    this.#raw.end()
    const sentAt = performance.now()
    while (performance.now() - sentAt < LONGEST_WAIT) {
      await delay(SAMPLE_EVERY)
      // A FIN or RST that came meanwhile.
      const end = this.end
      if (end) return end.outcome === 'reset' ? 'reset' : 'acknowledged'
      const now = this.#counters()
      if (!now) return 'acknowledged'
      if (now.state === TcpState.CLOSE || now.state === TcpState.ESTABLISHED) continue
      if (now.state !== TcpState.FIN_WAIT1) return 'acknowledged'
      if (now.retransmits >= FIN_RETRANSMISSIONS) return 'silent'
    }
    return 'silent'
  }

  #counters(): Counters | undefined {
    if (this.#raw.destroyed) return undefined
    const row = sampleTcpInfo([this.#fd], fields)
    if (Number.isNaN(row[0]!)) return undefined
    return Object.fromEntries(fields.map((name, i) => [name, row[i]!])) as Counters
  }

  /** Closes it. `reset`: without waiting for a peer that is gone, which would keep the kernel retransmitting for minutes. */
  close(reset = false): void {
    this.#endListener = undefined
    if (reset) this.#raw.resetAndDestroy()
    else this.#raw.destroy()
  }

  #set(option: (typeof optionNames)[number], value: number): void {
    if (this.#raw.destroyed) return
    this.#core.setOption(this.#fd, optionNames.indexOf(option), value)
  }
}

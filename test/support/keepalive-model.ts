import type { NativeCore } from '../../src/kernel/binding.js'
import type { Keepalive } from '../../src/kernel/liveness.js'
import { type OptionName, optionNames } from '../../src/kernel/socket-options.js'
import { TcpState } from '../../src/kernel/tcp-info.js'

/** One of the kernel's ticks, ms (HZ=250). */
export const JIFFY = 4

const RTO = 200

/** When a peer hears nothing. What it says itself still arrives. */
export type Outage = readonly [from: number, to: number]

/**
 * A connection as the kernel's keepalive timer sees it: tcp_keepalive_timer(), tcp_sock_set_keepidle(), tcp_set_keepalive() and, for
 * data in flight, tcp_retransmit_timer(), of Linux 6.18. Times in ms. Timers are on time, at the next tick at the earliest; an answer
 * takes none.
 */
export class ModelConnection {
  state: number = TcpState.ESTABLISHED
  heardAt = 0
  /** When data was last sent or received. */
  dataAt = 0
  probes = 0
  diedAt = Number.POSITIVE_INFINITY
  /** When keepalive probes were sent. */
  readonly asked: number[] = []
  /** Told of each segment of the peer. */
  onHeard: (at: number) => void = () => {}

  #timerAt = Number.POSITIVE_INFINITY
  #inFlight = false
  #retransmitAt = Number.POSITIVE_INFINITY
  #retransmits = 0
  #firstRetransmission = 0

  constructor(
    public options: Keepalive,
    readonly outages: readonly Outage[],
  ) {
    if (options.enable) this.#arm(0, options.initialDelay)
  }

  get isOpen(): boolean {
    return this.state === TcpState.ESTABLISHED
  }

  /** When something happens next by itself. */
  get next(): number {
    return this.isOpen ? Math.min(this.#timerAt, this.#retransmitAt) : Number.POSITIVE_INFINITY
  }

  get timerAt(): number {
    return this.#timerAt
  }

  get unacked(): number {
    return Number(this.#inFlight)
  }

  get retransmits(): number {
    return this.#retransmits
  }

  /** What is due at `next`. */
  happen(): void {
    if (this.#retransmitAt <= this.#timerAt) this.#retransmit(this.#retransmitAt)
    else this.#keepalive(this.#timerAt)
  }

  set(name: keyof Keepalive, value: number | boolean, now: number): void {
    const was = this.options
    this.options = { ...was, [name]: value }
    if (!this.isOpen) return
    if (name === 'initialDelay' && was.enable) this.#arm(now, Number(value) - (now - this.heardAt))
    else if (name === 'enable' && !value) this.#timerAt = Number.POSITIVE_INFINITY
    else if (name === 'enable' && !was.enable) this.#arm(now, was.initialDelay)
  }

  /** The peer answers. */
  hear(now: number): void {
    if (!this.isOpen || this.heardAt === now) return
    this.heardAt = now
    this.probes = 0
    this.onHeard(now)
  }

  /**
   * The peer says something, which it does also where it hears nothing. On the short way of tcp_rcv_established(), which a segment takes
   * where nothing else has changed, it does not count as an answer.
   */
  hearData(now: number): void {
    if (!this.isOpen) return
    this.heardAt = now
    this.dataAt = now
  }

  write(now: number): void {
    if (!this.isOpen || this.#inFlight) return
    this.dataAt = now
    if (!this.#isOut(now)) {
      this.hear(now)
      return
    }
    this.#inFlight = true
    this.#retransmits = 0
    this.#retransmitAt = now + 2 * RTO
  }

  /** The next firing no later than so long after the peer was heard. */
  bringForward(sinceHeard: number): void {
    if (this.options.enable) this.#timerAt = Math.min(this.#timerAt, this.heardAt + sinceHeard)
  }

  #isOut(now: number): boolean {
    return this.outages.some(([from, to]) => from <= now && now < to)
  }

  #arm(now: number, delay: number): void {
    this.#timerAt = now + Math.max(JIFFY, delay)
  }

  #keepalive(now: number): void {
    const { initialDelay, interval, count, userTimeout } = this.options
    const elapsed = now - this.heardAt
    if (this.#inFlight) this.#arm(now, initialDelay)
    else if (elapsed < initialDelay) this.#arm(now, initialDelay - elapsed)
    else if (userTimeout ? elapsed >= userTimeout && this.probes > 0 : this.probes >= count) this.#die(now)
    else this.#probe(now, interval)
  }

  #probe(now: number, interval: number): void {
    this.probes++
    this.asked.push(now)
    this.#arm(now, interval)
    if (!this.#isOut(now)) this.hear(now)
  }

  #retransmit(now: number): void {
    const { userTimeout } = this.options
    if (this.#retransmits > 0 && userTimeout && now - this.#firstRetransmission >= userTimeout) {
      this.#die(now)
      return
    }
    if (!this.#isOut(now)) {
      this.#inFlight = false
      this.#retransmits = 0
      this.#retransmitAt = Number.POSITIVE_INFINITY
      this.hear(now)
      return
    }
    if (this.#retransmits === 0) this.#firstRetransmission = now
    this.#retransmits++
    const wait = RTO * 2 ** this.#retransmits
    const left = userTimeout
      ? Math.max(JIFFY, this.#firstRetransmission + userTimeout - now)
      : Number.POSITIVE_INFINITY
    this.#retransmitAt = now + Math.min(wait, left)
  }

  #die(now: number): void {
    this.state = TcpState.CLOSE
    this.diedAt = now
    this.#timerAt = Number.POSITIVE_INFINITY
    this.#retransmitAt = Number.POSITIVE_INFINITY
  }
}

const asking = ['userTimeout', 'count', 'interval', 'enable', 'initialDelay'] as const
const columns = ['enable', 'initialDelay', 'interval', 'count', 'userTimeout'] as const
const EBADF = -9

/** Where system calls come from, and what goes by between them. */
export interface Calling {
  /** Before each system call. Returns the time. The process may be stopped there, or it is not tried. */
  enter(mayStop?: boolean): number
}

/** What the native core does for a probe, with a descriptor for each connection of a model; the cookie is the same number. */
export function modelCore(connections: ReadonlyMap<number, ModelConnection>, calling: Calling): NativeCore {
  const core: Partial<NativeCore> = {
    // Both ends have the address 0.0.0.0, so they are on one host.
    readAddresses: () => undefined,
    readCookie: (fd) => (connections.has(fd) ? BigInt(fd) : { errno: EBADF }),
    identify(count, fds, cookies, states, errors) {
      for (let i = 0; i < count; i++) {
        cookies[i] = BigInt(fds[i]!)
        states[i] = connections.get(fds[i]!)?.state ?? 0
        errors[i] = connections.has(fds[i]!) ? 0 : EBADF
      }
    },
    look(count, fds, _cookies, looks, options) {
      for (let i = 0; i < count; i++) {
        const now = calling.enter()
        const found = connections.get(fds[i]!)
        if (!found) {
          looks[i * 10] = EBADF
          continue
        }
        const { state, probes, retransmits, unacked, heardAt, dataAt } = found
        looks.set([0, state, probes, retransmits, unacked, 0, now, heardAt, RTO, dataAt], i * 10)
        columns.forEach((name, j) => {
          if (options) options[i * 5 + j] = Number(found.options[name] ?? Number.NaN)
        })
      }
    },
    writeKeepalive(count, fds, _before, wanted, asks) {
      const refused = []
      for (let i = 0; i < count; i++) {
        const found = connections.get(fds[i]!)
        if (!found) refused.push({ index: i, refusal: { errno: EBADF, written: [] } })
        for (const name of asks ? asking : asking.toReversed()) {
          const value = wanted[i * 5 + columns.indexOf(name)]!
          if (Number.isNaN(value)) continue
          found?.set(name, name === 'enable' ? value !== 0 : value, calling.enter(asks))
        }
      }
      return refused.length > 0 ? refused : undefined
    },
    readKeepaliveTimers(_pid, count, fds, _cookies, due) {
      for (let i = 0; i < count; i++) {
        const now = calling.enter(false)
        const { timerAt, next, unacked } = connections.get(fds[i]!)!
        const isSet = next < Number.POSITIVE_INFINITY && unacked === 0
        due[i] = isSet ? Math.max(0, timerAt - now) : Number.NaN
      }
    },
    readOptions(fd, values) {
      calling.enter()
      const { options } = connections.get(fd)!
      values.fill(Number.NaN)
      for (const name of columns) values[optionNames.indexOf(name)] = Number(options[name])
      return undefined
    },
    compile: (numbers) => [...numbers] as never,
    apply(fd, profile) {
      const numbers = profile as unknown as number[]
      for (const name of ['enable', 'interval', 'count', 'userTimeout', 'initialDelay'] as OptionName[]) {
        const at = optionNames.indexOf(name)
        if (Number.isNaN(numbers[at])) continue
        const value = name === 'enable' ? numbers[at] !== 0 : numbers[at]!
        connections.get(fd)!.set(name as keyof Keepalive, value, calling.enter())
      }
      return undefined
    },
  }
  return core as NativeCore
}

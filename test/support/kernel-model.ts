import type { Keepalive, Sample } from '../../src/kernel/liveness.js'

/** The kernel's timers are never early, and late by an eighth at most. */
const LATE = 1 / 8

const RTO_MIN = 200

/**
 * One idle or writing connection as the kernel sees it: its keepalive timer (tcp_keepalive_timer) and its retransmission timer
 * (tcp_retransmit_timer), in ms. The peer answers what reaches it after `rtt`; whether it does is `hears`'s to say.
 */
export class KernelModel {
  heardAt = 0
  probes = 0
  retransmits = 0
  isDead = false
  /** Since when something has been unanswered. */
  unansweredSince: number | undefined
  #now = 0
  #rto: number
  #keepaliveAt: number
  #retransmitAt = Number.POSITIVE_INFINITY
  #firstRetransmission = 0
  #answerAt = Number.POSITIVE_INFINITY
  #unacked = 0
  #dataAt = 0

  constructor(
    readonly own: Keepalive,
    readonly rtt: number,
    readonly hears: (time: number) => boolean,
    readonly random: () => number,
  ) {
    this.#rto = rtt + RTO_MIN
    this.#keepaliveAt = own.enable ? this.#later(own.initialDelay) : Number.POSITIVE_INFINITY
  }

  get nextAt(): number {
    return Math.min(this.#keepaliveAt, this.#retransmitAt, this.#answerAt)
  }

  /** Lets time pass, with all that happens in it. */
  goOn(until: number): void {
    while (!this.isDead && this.nextAt <= until) {
      this.#now = this.nextAt
      if (this.#answerAt === this.#now) this.#hear()
      else if (this.#retransmitAt === this.#now) this.#retransmit()
      else this.#keepalive()
    }
    this.#now = Math.max(this.#now, until)
  }

  write(): void {
    this.#unacked++
    this.#dataAt = this.#now
    this.#send()
    this.#rto = this.rtt + RTO_MIN
    this.#retransmitAt = this.#later(this.#rto)
  }

  /** A probe of ours. Returns when it is answered. */
  ask(): number {
    this.probes++
    this.#send()
    return this.#answerAt
  }

  look(): Sample {
    return {
      state: 1,
      probes: this.probes,
      retransmits: this.retransmits,
      unacked: this.#unacked,
      notSent: 0,
      sampledAt: this.#now,
      heardAt: this.heardAt,
      rto: this.#rto,
      dataAt: this.#dataAt,
    }
  }

  #later(wait: number): number {
    return this.#now + wait * (1 + LATE * this.random())
  }

  #send(): void {
    this.unansweredSince ??= this.#now
    if (this.hears(this.#now)) this.#answerAt = Math.min(this.#answerAt, this.#now + this.rtt)
  }

  #hear(): void {
    this.heardAt = this.#now
    this.probes = 0
    this.retransmits = 0
    this.#unacked = 0
    this.unansweredSince = undefined
    this.#answerAt = Number.POSITIVE_INFINITY
    this.#retransmitAt = Number.POSITIVE_INFINITY
    this.#rto = this.rtt + RTO_MIN
  }

  #keepalive(): void {
    const { initialDelay, interval, count, userTimeout = 0 } = this.own
    const silence = this.#now - this.heardAt
    if (this.#unacked > 0) this.#keepaliveAt = this.#later(initialDelay)
    else if (silence < initialDelay) this.#keepaliveAt = this.#later(initialDelay - silence)
    else if (userTimeout > 0 ? silence >= userTimeout && this.probes > 0 : this.probes >= count)
      this.isDead = true
    else {
      this.probes++
      this.#send()
      this.#keepaliveAt = this.#later(interval)
    }
  }

  #retransmit(): void {
    const { userTimeout = 0 } = this.own
    if (this.retransmits === 0) this.#firstRetransmission = this.#now
    else if (userTimeout > 0 && this.#now - this.#firstRetransmission >= userTimeout) {
      this.isDead = true
      return
    }
    this.retransmits++
    this.#rto *= 2
    this.#send()
    const left =
      userTimeout > 0 ? this.#firstRetransmission + userTimeout - this.#now : Number.POSITIVE_INFINITY
    // tcp_clamp_rto_to_user_timeout
    this.#retransmitAt = this.#later(Math.max(1, Math.min(this.#rto, left)))
  }
}

import { describe, expect, it } from 'vitest'
import type { Keepalive, Sample } from '../../src/kernel/liveness.js'
import { TcpState } from '../../src/kernel/tcp-info.js'
import { clockFrom } from '../../src/overlay/clock.js'
import {
  evidenceOfAnswer,
  evidenceOfSilence,
  isImminent,
  isOpen,
  proberOf,
  silenceOf,
  timesProbed,
} from '../../src/probe/evidence.js'

const own: Keepalive = { enable: true, initialDelay: 5_000, interval: 2_000, count: 3, userTimeout: 0 }

/** An established connection whose peer was heard `silence` ms ago. */
function look(silence: number, more: Partial<Sample> = {}): Sample {
  const heardAt = 1_000_000
  return {
    state: TcpState.ESTABLISHED,
    probes: 0,
    retransmits: 0,
    unacked: 0,
    notSent: 0,
    sampledAt: heardAt + silence,
    heardAt,
    rto: 200,
    dataAt: heardAt,
    ...more,
  }
}

describe('the prober of a connection', () => {
  it.each<{ what: string; seen: Sample; unanswered: number; asks: string }>([
    { what: 'that is idle', seen: look(2_000), unanswered: 0, asks: 'us' },
    { what: 'that is not probed yet after its initialDelay', seen: look(6_000), unanswered: 0, asks: 'us' },
    {
      what: 'that the kernel is probing',
      seen: look(6_000, { probes: 1 }),
      unanswered: 0,
      asks: 'keepalive',
    },
    {
      what: 'with only our probes unacknowledged',
      seen: look(6_000, { probes: 2 }),
      unanswered: 2,
      asks: 'us',
    },
    {
      what: 'with our probes and one of the kernel unacknowledged',
      seen: look(6_000, { probes: 3 }),
      unanswered: 2,
      asks: 'keepalive',
    },
    {
      what: 'with a probe that is not ours, before the kernel is due',
      seen: look(4_000, { probes: 1 }),
      unanswered: 0,
      asks: 'keepalive',
    },
    {
      what: 'with data in flight',
      seen: look(6_000, { unacked: 1, probes: 1 }),
      unanswered: 0,
      asks: 'retransmission',
    },
    {
      what: 'with data in flight and more queued',
      seen: look(2_000, { unacked: 1, notSent: 9 }),
      unanswered: 0,
      asks: 'retransmission',
    },
    {
      what: 'with data behind a closed window',
      seen: look(2_000, { notSent: 9 }),
      unanswered: 0,
      asks: 'window-probe',
    },
    {
      what: 'that is connecting',
      seen: look(0, { state: TcpState.SYN_SENT }),
      unanswered: 0,
      asks: 'closed',
    },
    {
      what: 'that the peer has closed',
      seen: look(2_000, { state: TcpState.CLOSE_WAIT }),
      unanswered: 0,
      asks: 'closed',
    },
    {
      what: 'that is dead',
      seen: look(2_000, { state: TcpState.CLOSE, unacked: 1 }),
      unanswered: 0,
      asks: 'closed',
    },
  ])('is $asks for a connection $what', ({ seen, unanswered, asks }) => {
    expect(proberOf(seen, own.enable, unanswered)).toBe(asks)
  })

  it('is deadpeer if keepalive is off, however many probes are counted', () => {
    expect(proberOf(look(6_000, { probes: 3 }), false, 0)).toBe('us')
  })
})

describe("the kernel's next probe", () => {
  it('is imminent less than 600 ms before it is due, because the peer would not acknowledge it so soon after ours', () => {
    expect(isImminent(look(4_400), own, clockFrom(own))).toBe(false)
    expect(isImminent(look(4_401), own, clockFrom(own))).toBe(true)
    expect(isImminent(look(5_200), own, clockFrom(own))).toBe(true)
    expect(isImminent(look(4_900), { ...own, enable: false }, clockFrom(own))).toBe(false)
    expect(isImminent(look(4_900), own, { due: 8_000, initialDelay: 8_000, sent: 0 })).toBe(false)
  })
})

it('counts data as one probe, and each of its retransmissions as another', () => {
  expect(timesProbed(look(0, { retransmits: 2, probes: 7 }), 'retransmission')).toBe(3)
  expect(timesProbed(look(0, { retransmits: 2, probes: 7 }), 'window-probe')).toBe(7)
  expect(timesProbed(look(0, { probes: 4 }), 'keepalive')).toBe(4)
})

it('names the evidence by the prober', () => {
  expect((['us', 'keepalive', 'retransmission', 'window-probe'] as const).map(evidenceOfAnswer)).toEqual([
    'ack',
    'ack',
    'ack',
    'window-probe',
  ])
  expect((['us', 'keepalive', 'retransmission', 'window-probe'] as const).map(evidenceOfSilence)).toEqual([
    'silence',
    'silence',
    'retransmitting',
    'window-probe',
  ])
})

it('computes silence as the time of the sample minus the time when the peer was last heard', () => {
  expect(silenceOf(look(1_234))).toBe(1_234)
})

it('treats a connection as open only between the handshake and the first FIN or reset', () => {
  const { ESTABLISHED, SYN_SENT, SYN_RECV, CLOSE_WAIT, FIN_WAIT1, CLOSE, LISTEN } = TcpState
  expect(isOpen(ESTABLISHED)).toBe(true)
  expect([SYN_SENT, SYN_RECV, CLOSE_WAIT, FIN_WAIT1, CLOSE, LISTEN].some(isOpen)).toBe(false)
})

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

/** An established connection, silent for so long. */
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
    ...more,
  }
}

describe('proberOf', () => {
  it.each<[string, Sample, number, string]>([
    ['a connection at rest', look(2_000), 0, 'us'],
    ['past its initialDelay, not probed yet', look(6_000), 0, 'us'],
    ['that the kernel is probing', look(6_000, { probes: 1 }), 0, 'keepalive'],
    ['with nothing but our probes unanswered', look(6_000, { probes: 2 }), 2, 'us'],
    ['with ours and one of the kernel unanswered', look(6_000, { probes: 3 }), 2, 'keepalive'],
    ['with a probe that is not ours, before the kernel is due', look(4_000, { probes: 1 }), 0, 'keepalive'],
    ['with data in flight', look(6_000, { unacked: 1, probes: 1 }), 0, 'retransmission'],
    ['with data in flight and more queued', look(2_000, { unacked: 1, notSent: 9 }), 0, 'retransmission'],
    ['with data behind a closed window', look(2_000, { notSent: 9 }), 0, 'window-probe'],
    ['that is connecting', look(0, { state: TcpState.SYN_SENT }), 0, 'closed'],
    ['that the peer has closed', look(2_000, { state: TcpState.CLOSE_WAIT }), 0, 'closed'],
    ['that is dead', look(2_000, { state: TcpState.CLOSE, unacked: 1 }), 0, 'closed'],
  ])('%s', (_, seen, unanswered, asks) => {
    expect(proberOf(seen, own.enable, unanswered)).toBe(asks)
  })

  it('is us where keepalive is off, whatever is counted', () => {
    expect(proberOf(look(6_000, { probes: 3 }), false, 0)).toBe('us')
  })
})

describe('isImminent', () => {
  it('is so from where a probe of the kernel would go unanswered for ours: 600 ms', () => {
    expect(isImminent(look(4_400), own, clockFrom(own))).toBe(false)
    expect(isImminent(look(4_401), own, clockFrom(own))).toBe(true)
    expect(isImminent(look(5_200), own, clockFrom(own))).toBe(true)
    expect(isImminent(look(4_900), { ...own, enable: false }, clockFrom(own))).toBe(false)
    expect(isImminent(look(4_900), own, { due: 8_000, initialDelay: 8_000, sent: 0 })).toBe(false)
  })
})

it('timesProbed: the data itself counts, and each time that it is sent again', () => {
  expect(timesProbed(look(0, { retransmits: 2, probes: 7 }), 'retransmission')).toBe(3)
  expect(timesProbed(look(0, { retransmits: 2, probes: 7 }), 'window-probe')).toBe(7)
  expect(timesProbed(look(0, { probes: 4 }), 'keepalive')).toBe(4)
})

it('evidence is named by who asked', () => {
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

it('silence is by the clock of the kernel', () => {
  expect(silenceOf(look(1_234))).toBe(1_234)
})

it('isOpen: not before the handshake is over, nor once either side has closed', () => {
  const { ESTABLISHED, SYN_SENT, SYN_RECV, CLOSE_WAIT, FIN_WAIT1, CLOSE, LISTEN } = TcpState
  expect(isOpen(ESTABLISHED)).toBe(true)
  expect([SYN_SENT, SYN_RECV, CLOSE_WAIT, FIN_WAIT1, CLOSE, LISTEN].some(isOpen)).toBe(false)
})

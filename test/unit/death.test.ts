import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { causeOf, isDeadly, isOver, judgeSighting } from '../../src/detect/death.js'
import { DeadPeerError, type DeathReason } from '../../src/errors.js'
import type { Sighting } from '../../src/kernel/deathwatch.js'
import { decodeTcpInfo, type TcpInfo, TcpState } from '../../src/kernel/tcp-info.js'
import type { Profile } from '../../src/socket/profile.js'

const nothing = decodeTcpInfo(new Uint8Array(280))

function info(more: Partial<TcpInfo>): TcpInfo {
  return { ...nothing, state: TcpState.CLOSE, lastAckRecv: 3_000, lastDataRecv: 4_000, ...more }
}

function sightingOf(peerClosed: boolean, failed: boolean, counters: TcpInfo): Sighting {
  return { peerClosed, failed, unread: 0, state: counters.state, info: counters }
}

describe('the cause of a death, by what the kernel left behind', () => {
  it.each<[DeathReason, Partial<TcpInfo>, Profile, string | undefined]>([
    ['keepalive', { probes: 2 }, { count: 2 }, undefined],
    ['keepalive', { probes: 2 }, { count: 2 }, 'ETIMEDOUT'],
    ['keepalive', { probes: 3 }, { count: 3, userTimeout: 6_000 }, undefined],
    ['user-timeout', { probes: 1 }, { count: 5, userTimeout: 20_000 }, undefined],
    ['user-timeout', { retransmits: 3 }, { userTimeout: 2_000 }, undefined],
    ['retransmission', { retransmits: 15 }, { userTimeout: 0 }, 'ETIMEDOUT'],
    // Written to while it was being probed: keepalive keeps out of it from then on.
    ['retransmission', { retransmits: 15, probes: 2 }, { count: 2 }, undefined],
    ['user-timeout', { probes: 4, notsentBytes: 1 }, { count: 3, userTimeout: 3_000 }, undefined],
    ['retransmission', { probes: 15, notsentBytes: 1 }, { count: 3 }, undefined],
    // Alive, but it does not read: it answers the probes.
    ['user-timeout', { notsentBytes: 1, rwndLimited: 3_000_000 }, { userTimeout: 3_000 }, undefined],
    ['retransmission', { notsentBytes: 1 }, {}, 'ETIMEDOUT'],
    ['reset', { notsentBytes: 1, rwndLimited: 2_000_000 }, { userTimeout: 3_000 }, undefined],
    ['reset', { notsentBytes: 1, rwndLimited: 3_000_000 }, {}, undefined],
    ['user-timeout', {}, { userTimeout: 100 }, 'ETIMEDOUT'],
    ['retransmission', {}, {}, 'ETIMEDOUT'],
    ['reset', {}, {}, undefined],
    ['reset', {}, {}, 'ECONNRESET'],
    ['reset', { probes: 1 }, { count: 3 }, 'ECONNRESET'],
    ['reset', {}, {}, 'EPIPE'],
    ['reset', {}, {}, 'ECONNABORTED'],
    ['unreachable', { retransmits: 5 }, { userTimeout: 2_000 }, 'EHOSTUNREACH'],
    ['unreachable', { retransmits: 5 }, { userTimeout: 2_000 }, 'ENETUNREACH'],
    ['unreachable', { retransmits: 5 }, {}, 'ECONNREFUSED'],
    ['unreachable', { state: TcpState.ESTABLISHED }, { failOnIcmp: true }, undefined],
  ])('%s: %o, %o, %s', (reason, counters, profile, errno) => {
    const cause = causeOf({ info: info(counters), profile }, errno)
    expect(cause.reason).toBe(reason)
    expect(cause.evidence).toMatch(/\S/)
  })

  it('says what was unanswered, and for how long', () => {
    expect(causeOf({ info: info({ probes: 1 }), profile: { count: 1 } }).evidence).toBe(
      '1 probe unanswered, silent for 3.0 s',
    )
    expect(causeOf({ info: info({ retransmits: 4 }), profile: {} }).evidence).toBe(
      'data unacknowledged after 4 retransmissions, silent for 3.0 s',
    )
  })

  it('without counters goes by the error alone, and says so', () => {
    expect(causeOf(undefined, 'ECONNRESET').reason).toBe('reset')
    expect(causeOf(undefined, 'EHOSTUNREACH').reason).toBe('unreachable')
    const { reason, evidence } = causeOf(undefined, 'ETIMEDOUT')
    expect(reason).toBe('keepalive')
    expect(evidence).toContain('could not be read')
  })

  it.each(['ETIMEDOUT', 'ECONNRESET', 'EPIPE', 'EHOSTUNREACH', 'ENETUNREACH'])('%s is deadly', (errno) =>
    expect(isDeadly(errno)).toBe(true),
  )

  it.each(['EAGAIN', 'ENOTCONN', 'ENOBUFS', 'EINTR'])('%s is not', (errno) =>
    expect(isDeadly(errno)).toBe(false),
  )
})

describe('an error of a connection that stands', () => {
  it.each<[boolean, Partial<TcpInfo>, Profile, string]>([
    [true, {}, {}, 'ECONNRESET'],
    [false, { state: TcpState.ESTABLISHED }, {}, 'ECONNRESET'],
    [false, { state: TcpState.CLOSE_WAIT }, { failOnIcmp: true }, 'EPIPE'],
    [true, { state: TcpState.ESTABLISHED }, { failOnIcmp: true }, 'EHOSTUNREACH'],
    [false, { state: TcpState.ESTABLISHED }, { failOnIcmp: false }, 'EHOSTUNREACH'],
  ])('is its own: %s, %o, %o, %s', (own, counters, profile, errno) =>
    expect(isOver({ info: info(counters), profile }, errno)).toBe(own),
  )
})

describe('what the deathwatch saw', () => {
  const fin = { state: TcpState.CLOSE_WAIT }
  it.each<[string | undefined, Partial<TcpInfo>, boolean, boolean, Profile, boolean?]>([
    ['closing', fin, true, false, {}],
    ['closing', { ...fin, probes: 3 }, true, false, {}],
    ['closing', {}, true, false, {}, true],
    [undefined, {}, true, false, {}, false],
    ['dead', {}, true, true, {}],
    // Node has taken the error meanwhile.
    ['dead', { probes: 2 }, true, false, {}],
    ['dead', { retransmits: 2 }, true, false, {}],
    ['dead', { state: TcpState.ESTABLISHED }, false, true, { failOnIcmp: true }],
    [undefined, { state: TcpState.ESTABLISHED }, false, true, {}],
    [undefined, { state: TcpState.ESTABLISHED, probes: 2 }, false, false, {}],
    ['closing', fin, true, true, {}],
  ])(
    '%s: %o, peerClosed %s, failed %s, %o',
    (judgement, counters, peerClosed, failed, profile, weClosed = false) => {
      const sighting = sightingOf(peerClosed, failed, info(counters))
      expect(judgeSighting(sighting, profile, weClosed)).toBe(judgement)
    },
  )

  it('a connection that still stands is never dead without an error', () => {
    const states = Object.values(TcpState).filter((state) => state !== TcpState.CLOSE)
    fc.assert(
      fc.property(
        fc.constantFrom(...states),
        fc.nat(255),
        fc.nat(255),
        fc.boolean(),
        fc.boolean(),
        (state, probes, retransmits, peerClosed, failOnIcmp) => {
          const sighting = sightingOf(peerClosed, false, info({ state, probes, retransmits }))
          return judgeSighting(sighting, { failOnIcmp }, false) !== 'dead'
        },
      ),
    )
  })
})

describe('DeadPeerError', () => {
  it.each<[DeathReason, string, number]>([
    ['keepalive', 'ETIMEDOUT', -110],
    ['user-timeout', 'ETIMEDOUT', -110],
    ['retransmission', 'ETIMEDOUT', -110],
    ['heartbeat', 'ETIMEDOUT', -110],
    ['reset', 'ECONNRESET', -104],
    ['unreachable', 'EHOSTUNREACH', -113],
  ])('%s: %s', (reason, code, errno) => {
    const error = new DeadPeerError(reason, '2 probes unanswered')
    expect(error).toMatchObject({
      name: 'DeadPeerError',
      code,
      errno,
      reason,
      evidence: '2 probes unanswered',
    })
    expect(error.message).toBe(`The peer is gone (${reason}): 2 probes unanswered.`)
    expect(error).not.toHaveProperty('info')
    expect(error).not.toHaveProperty('cause')
  })
})

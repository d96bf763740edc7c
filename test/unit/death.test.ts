import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type DeathReason, PeerDeathError } from '../../src/errors.js'
import type { KernelEvent as Sighting } from '../../src/kernel/deathwatch.js'
import { decodeTcpInfo, type TcpInfo, TcpState } from '../../src/kernel/tcp-info.js'
import type { Profile } from '../../src/profile/profile.js'
import {
  causeOf,
  isDeadly,
  isOver,
  type Judgement,
  judgeKernelEvent,
  type Progress,
} from '../../src/watch/cause.js'

const nothing = decodeTcpInfo(new Uint8Array(280))

function info(more: Partial<TcpInfo>): TcpInfo {
  return { ...nothing, state: TcpState.CLOSE, lastAckRecv: 3_000, lastDataRecv: 4_000, ...more }
}

function sightingOf(peerClosed: boolean, failed: boolean, counters: TcpInfo): Sighting {
  const takeError = () => undefined
  return { peerClosed, failed, unread: 0, state: counters.state, info: counters, takeError }
}

describe('the cause of a death', () => {
  it.each<{ reason: DeathReason; counters: Partial<TcpInfo>; profile: Profile; errno: string | undefined }>([
    { reason: 'keepalive', counters: { probes: 2 }, profile: { count: 2 }, errno: undefined },
    { reason: 'keepalive', counters: { probes: 2 }, profile: { count: 2 }, errno: 'ETIMEDOUT' },
    {
      reason: 'keepalive',
      counters: { probes: 3 },
      profile: { count: 3, userTimeout: 6_000 },
      errno: undefined,
    },
    {
      reason: 'user-timeout',
      counters: { probes: 1 },
      profile: { count: 5, userTimeout: 20_000 },
      errno: undefined,
    },
    {
      reason: 'user-timeout',
      counters: { retransmits: 3 },
      profile: { userTimeout: 2_000 },
      errno: undefined,
    },
    {
      reason: 'retransmission',
      counters: { retransmits: 15 },
      profile: { userTimeout: 0 },
      errno: 'ETIMEDOUT',
    },
    // Written to while it was being probed: keepalive keeps out of it from then on.
    {
      reason: 'retransmission',
      counters: { retransmits: 15, probes: 2 },
      profile: { count: 2 },
      errno: undefined,
    },
    {
      reason: 'user-timeout',
      counters: { probes: 4, notsentBytes: 1 },
      profile: { count: 3, userTimeout: 3_000 },
      errno: undefined,
    },
    {
      reason: 'retransmission',
      counters: { probes: 15, notsentBytes: 1 },
      profile: { count: 3 },
      errno: undefined,
    },
    // Alive, but it does not read: it answers the probes.
    {
      reason: 'user-timeout',
      counters: { notsentBytes: 1, rwndLimited: 3_000_000 },
      profile: { userTimeout: 3_000 },
      errno: undefined,
    },
    { reason: 'retransmission', counters: { notsentBytes: 1 }, profile: {}, errno: 'ETIMEDOUT' },
    {
      reason: 'reset',
      counters: { notsentBytes: 1, rwndLimited: 2_000_000 },
      profile: { userTimeout: 3_000 },
      errno: undefined,
    },
    { reason: 'reset', counters: { notsentBytes: 1, rwndLimited: 3_000_000 }, profile: {}, errno: undefined },
    { reason: 'user-timeout', counters: {}, profile: { userTimeout: 100 }, errno: 'ETIMEDOUT' },
    { reason: 'retransmission', counters: {}, profile: {}, errno: 'ETIMEDOUT' },
    { reason: 'reset', counters: {}, profile: {}, errno: undefined },
    { reason: 'reset', counters: {}, profile: {}, errno: 'ECONNRESET' },
    { reason: 'reset', counters: { probes: 1 }, profile: { count: 3 }, errno: 'ECONNRESET' },
    { reason: 'reset', counters: {}, profile: {}, errno: 'EPIPE' },
    { reason: 'reset', counters: {}, profile: {}, errno: 'ECONNABORTED' },
    {
      reason: 'unreachable',
      counters: { retransmits: 5 },
      profile: { userTimeout: 2_000 },
      errno: 'EHOSTUNREACH',
    },
    {
      reason: 'unreachable',
      counters: { retransmits: 5 },
      profile: { userTimeout: 2_000 },
      errno: 'ENETUNREACH',
    },
    { reason: 'unreachable', counters: { retransmits: 5 }, profile: {}, errno: 'ECONNREFUSED' },
    {
      reason: 'unreachable',
      counters: { state: TcpState.ESTABLISHED },
      profile: { failOnIcmp: true },
      errno: undefined,
    },
  ])('is $reason with $counters, $profile, $errno', ({ reason, counters, profile, errno }) => {
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

  it('uses the error alone if there are no counters, and says so', () => {
    expect(causeOf(undefined, 'ECONNRESET').reason).toBe('reset')
    expect(causeOf(undefined, 'EHOSTUNREACH').reason).toBe('unreachable')
    const { reason, evidence } = causeOf(undefined, 'ETIMEDOUT')
    expect(reason).toBe('keepalive')
    expect(evidence).toContain('could not be read')
  })

  it.each(['ETIMEDOUT', 'ECONNRESET', 'EPIPE', 'EHOSTUNREACH', 'ENETUNREACH'])('includes %s', (errno) =>
    expect(isDeadly(errno)).toBe(true),
  )

  it.each(['EAGAIN', 'ENOTCONN', 'ENOBUFS', 'EINTR'])('does not include %s', (errno) =>
    expect(isDeadly(errno)).toBe(false),
  )
})

describe('an error of an established connection', () => {
  it.each<{ own: boolean; counters: Partial<TcpInfo>; profile: Profile; errno: string }>([
    { own: true, counters: {}, profile: {}, errno: 'ECONNRESET' },
    { own: false, counters: { state: TcpState.ESTABLISHED }, profile: {}, errno: 'ECONNRESET' },
    { own: false, counters: { state: TcpState.CLOSE_WAIT }, profile: { failOnIcmp: true }, errno: 'EPIPE' },
    {
      own: true,
      counters: { state: TcpState.ESTABLISHED },
      profile: { failOnIcmp: true },
      errno: 'EHOSTUNREACH',
    },
    {
      own: false,
      counters: { state: TcpState.ESTABLISHED },
      profile: { failOnIcmp: false },
      errno: 'EHOSTUNREACH',
    },
  ])(
    'belongs to the connection ($own) with $counters, $profile, $errno',
    ({ own, counters, profile, errno }) => expect(isOver({ info: info(counters), profile }, errno)).toBe(own),
  )
})

describe('an event of the kernel for a connection', () => {
  const fin = { state: TcpState.CLOSE_WAIT }
  const stands = { state: TcpState.ESTABLISHED }
  const unread: Partial<Progress> = { isReading: false }

  interface Row {
    readonly title: string
    readonly counters?: Partial<TcpInfo>
    readonly peerClosed?: boolean
    readonly failed?: boolean
    readonly profile?: Profile
    readonly progress?: Partial<Progress>
    readonly judgement: Judgement
  }

  it.each<Row>([
    { title: 'a FIN is a close', counters: fin, judgement: 'closing' },
    {
      title: 'a FIN with unanswered probes is a close',
      counters: { ...fin, probes: 3 },
      judgement: 'closing',
    },
    {
      title: 'a FIN with an error of another kind is a close',
      counters: fin,
      failed: true,
      judgement: 'closing',
    },
    { title: 'the end of both sides is a close', progress: { weEnded: true }, judgement: 'closing' },
    { title: 'an end whose error Node has just taken is left to Node', judgement: undefined },
    { title: 'a reset of a paused connection is a death', failed: true, progress: unread, judgement: 'dead' },
    { title: 'a reset that Node is about to read is left to Node', failed: true, judgement: 'left-to-node' },
    {
      title:
        'an end after both sides have finished needs SO_ERROR: a reset is nothing then, and a timeout a death',
      failed: true,
      progress: { peerEnded: true, weEnded: true, isReading: false },
      judgement: 'unclear',
    },
    {
      title: 'so does an end after retransmissions',
      failed: true,
      counters: { retransmits: 2 },
      progress: { peerEnded: true, weEnded: true, isReading: false },
      judgement: 'unclear',
    },
    {
      title: "an end after the peer's FIN needs SO_ERROR",
      failed: true,
      progress: { peerEnded: true, isReading: false },
      judgement: 'unclear',
    },
    {
      title: "unanswered probes after the peer's FIN need SO_ERROR",
      failed: true,
      counters: { probes: 2 },
      progress: { peerEnded: true, isReading: false },
      judgement: 'unclear',
    },
    {
      title: "an end after the peer's FIN is left to a Node that is writing",
      failed: true,
      progress: { peerEnded: true, isWriting: true },
      judgement: undefined,
    },
    { title: 'unanswered probes are a death', failed: true, counters: { probes: 2 }, judgement: 'dead' },
    {
      title: 'unanswered probes whose error Node took are a death',
      counters: { probes: 2 },
      judgement: 'dead',
    },
    { title: 'unanswered data is a death', counters: { retransmits: 2 }, judgement: 'dead' },
    {
      title: 'an ICMP error under failOnIcmp is a death',
      counters: stands,
      peerClosed: false,
      failed: true,
      profile: { failOnIcmp: true },
      judgement: 'dead',
    },
    {
      title: 'an error of a standing connection without failOnIcmp is nothing',
      counters: stands,
      peerClosed: false,
      failed: true,
      judgement: undefined,
    },
    {
      title: 'unanswered probes of a standing connection are nothing',
      counters: { ...stands, probes: 2 },
      peerClosed: false,
      judgement: undefined,
    },
  ])(
    'is judged: $title',
    ({ counters = {}, peerClosed = true, failed = false, profile = {}, progress = {}, judgement }) => {
      const sighting = sightingOf(peerClosed, failed, info(counters))
      const reading = { peerEnded: false, weEnded: false, isReading: true, isWriting: false, ...progress }
      expect(judgeKernelEvent(sighting, profile, reading)).toBe(judgement)
    },
  )

  const states = Object.values(TcpState).filter((state) => state !== TcpState.CLOSE)
  const progress = fc.record({
    peerEnded: fc.boolean(),
    weEnded: fc.boolean(),
    isReading: fc.boolean(),
    isWriting: fc.boolean(),
  })
  const counts = fc.nat(255)

  it('is no death without an error while the connection is established', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...states),
        counts,
        counts,
        fc.boolean(),
        fc.boolean(),
        progress,
        (state, probes, retransmits, peerClosed, failOnIcmp, sides) => {
          const sighting = sightingOf(peerClosed, false, info({ state, probes, retransmits }))
          return judgeKernelEvent(sighting, { failOnIcmp }, sides) !== 'dead'
        },
      ),
    )
  })

  it('is no death once the peer has closed its side, unless SO_ERROR says so', () => {
    fc.assert(
      fc.property(counts, counts, fc.boolean(), progress, (probes, retransmits, failed, sides) => {
        const sighting = sightingOf(true, failed, info({ probes, retransmits }))
        return judgeKernelEvent(sighting, {}, { ...sides, peerEnded: true }) !== 'dead'
      }),
    )
  })
})

describe('PeerDeathError', () => {
  it.each<{ reason: DeathReason; code: string; errno: number }>([
    { reason: 'keepalive', code: 'ETIMEDOUT', errno: -110 },
    { reason: 'user-timeout', code: 'ETIMEDOUT', errno: -110 },
    { reason: 'retransmission', code: 'ETIMEDOUT', errno: -110 },
    { reason: 'heartbeat', code: 'ETIMEDOUT', errno: -110 },
    { reason: 'reset', code: 'ECONNRESET', errno: -104 },
    { reason: 'unreachable', code: 'EHOSTUNREACH', errno: -113 },
  ])('has for $reason the code $code', ({ reason, code, errno }) => {
    const error = new PeerDeathError(reason, '2 probes unanswered')
    expect(error).toMatchObject({
      name: 'PeerDeathError',
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

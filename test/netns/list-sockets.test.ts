import { beforeAll, describe, expect, it } from 'vitest'
import type { SocketRecord } from '../../src/host.js'
import { hasNamespaces, runInside } from './namespace.js'
import { parseSs, type SsSocket } from './ss.js'

type Plain = ReturnType<SocketRecord['toJSON']>

interface Reading {
  ss: string
  before: Plain[]
  after: Plain[]
  lengths: number[]
  interrupted: boolean
}

const CONNECTIONS = 2_000

describe.skipIf(!hasNamespaces)(`${CONNECTIONS} connections in every state, beside ss`, () => {
  let reading: Reading
  let triples: { ss: SsSocket; before: Plain; after: Plain }[]

  beforeAll(async () => {
    reading = JSON.parse(await runInside('list-beside-ss.mjs', String(CONNECTIONS)))
    const [before, after] = [byCookie(reading.before), byCookie(reading.after)]
    triples = parseSs(reading.ss).map((ss) => ({
      ss,
      before: before.get(ss.cookie)!,
      after: after.get(ss.cookie)!,
    }))
  })

  it('the same sockets, each once', () => {
    const cookies = (sockets: { cookie: string }[]) => sockets.map(({ cookie }) => cookie).sort()
    const wanted = cookies(triples.map(({ ss }) => ss))
    expect(wanted.length).toBeGreaterThan(1.8 * CONNECTIONS)
    expect(cookies(reading.before)).toEqual(wanted)
    expect(cookies(reading.after)).toEqual(wanted)
    expect(reading.lengths).toEqual([wanted.length, wanted.length])
    expect(reading.interrupted).toBe(false)
  })

  it('every state, every timer but one, and both families are among them', () => {
    const kinds = <K extends keyof Plain>(key: K) =>
      [...new Set(reading.before.map((each) => each[key]))].sort()
    expect(kinds('state')).toEqual([
      'close-wait',
      'closing',
      'established',
      'fin-wait-1',
      'fin-wait-2',
      'last-ack',
      'listen',
      'syn-recv',
      'syn-sent',
      'time-wait',
    ])
    // A delayed acknowledgement is over too soon.
    expect(kinds('timer')).toEqual(
      expect.arrayContaining(['keepalive', 'off', 'retransmit', 'time-wait', 'window-probe']),
    )
    expect(kinds('family')).toEqual(['ipv4', 'ipv6'])
    expect(new Set(reading.before.map(({ uid }) => uid)).size).toBeGreaterThan(1)
  })

  it.each<[string, (socket: Plain) => unknown, (ss: SsSocket) => unknown]>([
    ['state', ({ state }) => state, ({ state }) => state],
    ['local', ({ local }) => endText(local), ({ local }) => unbracketed(local)],
    ['remote', ({ remote }) => endText(remote), ({ remote }) => unbracketed(remote)],
    ['uid', ({ uid }) => uid ?? 0, ({ uid }) => uid],
    ['inode', ({ inode }) => inode ?? 0, ({ inode }) => inode],
    ['receiveQueue', ({ receiveQueue }) => receiveQueue, ({ receiveQueue }) => receiveQueue],
    ['sendQueue', ({ sendQueue }) => sendQueue, ({ sendQueue }) => sendQueue],
    ['timer', ({ timer }) => timer, ({ timer }) => timer],
  ])('%s is the same', (_, ours, theirs) => {
    for (const { ss, before, after } of triples) {
      const [first, last] = [ours(before), ours(after)]
      // What moved between our two reads may be either.
      expect(theirs(ss) === last ? last : first, ss.cookie).toEqual(theirs(ss))
    }
    expect(triples.filter(({ before, after }) => ours(before) !== ours(after)).length).toBeLessThan(
      triples.length / 10,
    )
  })

  it('retries only grow, and are what ss has in between', () => {
    for (const { ss, before, after } of triples) {
      expect(ss.retries).toBeGreaterThanOrEqual(before.retries)
      expect(ss.retries).toBeLessThanOrEqual(after.retries)
    }
    expect(triples.filter(({ ss }) => ss.retries > 0).length).toBeGreaterThan(300)
  })

  it('a timer runs down, past what ss has in between', () => {
    let compared = 0
    for (const { ss, before, after } of triples) {
      if (ss.expires === undefined) {
        if (after.timer === 'off') expect(after.expires).toBeUndefined()
        continue
      }
      // One that fired in between starts again from elsewhere.
      if (before.timer !== after.timer || after.expires! > before.expires!) continue
      const [least, most] = ss.expires
      expect(before.expires).toBeGreaterThanOrEqual(least)
      expect(after.expires).toBeLessThanOrEqual(most)
      compared++
    }
    expect(compared).toBeGreaterThan(triples.length / 4)
  })

  /** Ours in the unit of ss; and what ss leaves out. */
  const counters: [string, (info: NonNullable<Plain['info']>) => number | undefined, number?][] = [
    ['rto', ({ rto }) => rto / 1_000, 3_000],
    ['rtt', ({ rtt }) => rtt / 1_000],
    // Beside an rtt of 0 it has its initial value.
    ['rttvar', ({ rttvar }) => rttvar / 1_000, 250],
    ['cwnd', ({ sndCwnd }) => sndCwnd],
    ['pmtu', ({ pmtu }) => pmtu],
    ['unacked', ({ unacked }) => unacked],
    ['lost', ({ lost }) => lost],
    ['backoff', ({ backoff }) => backoff],
    ['retransInAll', ({ totalRetrans }) => totalRetrans],
    ['bytes_acked', ({ bytesAcked }) => bytesAcked],
    ['bytes_received', ({ bytesReceived }) => bytesReceived],
    ['segs_out', ({ segsOut }) => segsOut],
    ['segs_in', ({ segsIn }) => segsIn],
    ['notsent', ({ notsentBytes }) => notsentBytes],
    ['minrtt', ({ minRtt }) => minRtt! / 1_000, 2 ** 32 / 1_000],
    ['snd_wnd', ({ sndWnd }) => sndWnd],
    ['lastsnd', ({ lastDataSent }) => lastDataSent],
    ['lastrcv', ({ lastDataRecv }) => lastDataRecv],
    ['lastack', ({ lastAckRecv }) => lastAckRecv],
  ]

  it.each(counters)('tcp_info: %s is what ss has, or was passed in between', (name, ours, leftOut = 0) => {
    let shown = 0
    for (const { ss, before, after } of triples) {
      const theirs = ssCounter(ss, name)
      if (before.info === undefined || after.info === undefined) {
        expect(theirs).toBeUndefined()
        continue
      }
      const ends = [ours(before.info)!, ours(after.info)!]
      // Times start again when something happens.
      if (name.startsWith('last') && ends[1]! < ends[0]!) continue
      if (theirs === undefined) {
        // Also what ss does not show of a listener.
        if (ss.state !== 'listen') expect([0, Math.fround(leftOut)]).toContain(Math.fround(Math.min(...ends)))
        continue
      }
      // ss prints six digits.
      const slack = 1e-5 * theirs
      expect(theirs, `${ss.cookie} ${ss.state}`).toBeGreaterThanOrEqual(Math.min(...ends) - slack)
      expect(theirs, `${ss.cookie} ${ss.state}`).toBeLessThanOrEqual(Math.max(...ends) + slack)
      shown++
    }
    expect(shown).toBeGreaterThan(0)
  })

  it('time-wait has no owner and no tcp_info', () => {
    const forgotten = reading.before.filter(({ state }) => state === 'time-wait')
    expect(forgotten.length).toBeGreaterThan(100)
    for (const { uid, inode, info } of forgotten) {
      expect({ uid, inode, info }).toEqual({ uid: undefined, inode: undefined, info: undefined })
    }
  })
})

function byCookie(list: Plain[]): Map<string, Plain> {
  return new Map(list.map((each) => [each.cookie, each]))
}

function endText({ address, port }: Plain['local']): string {
  return `${address}:${port === 0 ? '*' : port}`
}

/** [::1]:80 as ::1:80; and * is what a socket of IPv6 for both families listens on. */
function unbracketed(end: string): string {
  return end.replace(/[[\]]/g, '').replace(/^\*:/, ':::')
}

function ssCounter({ words }: SsSocket, name: string): number | undefined {
  const text =
    name === 'rttvar'
      ? words.get('rtt')?.split('/')[1]
      : name === 'retransInAll'
        ? words.get('retrans')?.split('/')[1]
        : words.get(name)?.split('/')[0]
  return text === undefined ? undefined : Number(text)
}

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import type { SocketRecord } from '../../src/host/index.js'
import { hasNamespaces, runInside } from '../support/network-namespace.js'
import { parseSs, type SsSocket } from '../support/ss-output.js'
import { newerSsWords, ssWords } from '../support/ss-tcp-info.js'

type Plain = ReturnType<SocketRecord['toJSON']>

interface Reading {
  ss: string
  before: Plain[]
  after: Plain[]
  /** ms, from before our first reading until after our last. */
  elapsed: number
  lengths: number[]
  interrupted: boolean
}

const CONNECTIONS = 2_000

const version = spawnSync('ss', ['-V'], { encoding: 'utf8' }).stdout ?? ''
const [, major = 0, minor = 0] = /iproute2-(\d+)\.(\d+)/.exec(version)?.map(Number) ?? []
const words = major * 100 + minor >= 607 ? [...ssWords, ...newerSsWords] : ssWords

/** Of the socket or its congestion control: not of tcp_info. */
const besideTcpInfo = [
  ...['timer', 'uid', 'ino', 'sk', 'cgroup', 'v6only', 'skmem', '<->', '-->', '<--', '---'],
  ...readFileSync('/proc/sys/net/ipv4/tcp_available_congestion_control', 'utf8').trim().split(' '),
]

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

  it('are the same sockets, each once', () => {
    const cookies = (sockets: { cookie: string }[]) => sockets.map(({ cookie }) => cookie).sort()
    const wanted = cookies(triples.map(({ ss }) => ss))
    expect(wanted.length).toBeGreaterThan(1.8 * CONNECTIONS)
    expect(cookies(reading.before)).toEqual(wanted)
    expect(cookies(reading.after)).toEqual(wanted)
    expect(reading.lengths).toEqual([wanted.length, wanted.length])
    expect(reading.interrupted).toBe(false)
  })

  it('include every state, every timer but one, and both families', () => {
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

  it.each<{ field: string; ours: (socket: Plain) => unknown; theirs: (ss: SsSocket) => unknown }>([
    { field: 'state', ours: ({ state }) => state, theirs: ({ state }) => state },
    { field: 'local', ours: ({ local }) => endText(local), theirs: ({ local }) => unbracketed(local) },
    { field: 'remote', ours: ({ remote }) => endText(remote), theirs: ({ remote }) => unbracketed(remote) },
    { field: 'uid', ours: ({ uid }) => uid ?? 0, theirs: ({ uid }) => uid },
    { field: 'inode', ours: ({ inode }) => inode ?? 0, theirs: ({ inode }) => inode },
    {
      field: 'receiveQueue',
      ours: ({ receiveQueue }) => receiveQueue,
      theirs: ({ receiveQueue }) => receiveQueue,
    },
    { field: 'sendQueue', ours: ({ sendQueue }) => sendQueue, theirs: ({ sendQueue }) => sendQueue },
    { field: 'timer', ours: ({ timer }) => timer, theirs: ({ timer }) => timer },
  ])('have the same $field', ({ ours, theirs }) => {
    for (const { ss, before, after } of triples) {
      const [first, last] = [ours(before), ours(after)]
      // What moved between our two reads may be either.
      expect(theirs(ss) === last ? last : first, ss.cookie).toEqual(theirs(ss))
    }
    expect(triples.filter(({ before, after }) => ours(before) !== ours(after)).length).toBeLessThan(
      triples.length / 10,
    )
  })

  it('have retry counts that only grow, with those of ss in between', () => {
    for (const { ss, before, after } of triples) {
      expect(ss.retries).toBeGreaterThanOrEqual(before.retries)
      expect(ss.retries).toBeLessThanOrEqual(after.retries)
    }
    expect(triples.filter(({ ss }) => ss.retries > 0).length).toBeGreaterThan(300)
  })

  it('have timers that count down, with those of ss in between', () => {
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

  const times = ['lastsnd', 'lastrcv', 'lastack', 'busy', 'rwnd_limited', 'sndbuf_limited']

  it('are compared in every tcp_info value that ss prints', () => {
    const compared = new Set([...words.map(({ name }) => name), ...besideTcpInfo])
    const printed = new Set(triples.flatMap(({ ss }) => [...ss.words.keys()]))
    expect([...printed].filter((name) => !compared.has(name))).toEqual([])
  })

  it.each(words)('have $name of tcp_info as ss prints it', ({ name, text }) => {
    let moved = 0
    // These count in the kernel's ticks, of 10 ms at most.
    const elapsed = reading.elapsed + 10
    for (const { ss, before, after } of triples) {
      const [first, last] = [before, after].map(({ info }) => info && text(info))
      const theirs = ss.words.get(name)
      if (first === last) {
        expect(theirs, `${ss.cookie} ${ss.state}`).toBe(first)
        continue
      }
      const readings = [first, theirs, last]
      const [one, other, third] = readings.map((each) => Number(each ?? 0)) as [number, number, number]
      const holds = name.startsWith('last')
        ? mayBecome(one, other, elapsed) && mayBecome(other, third, elapsed)
        : isBetween(theirs, first, last)
      expect(holds, `${ss.cookie} ${ss.state}: ${readings}`).toBe(true)
      moved++
    }
    // Time passes for many of them; and a fifth send again, each from time to time.
    if (!times.includes(name)) expect(moved).toBeLessThan(triples.length / 4)
  })

  // fackets: the kernel has not counted them since Linux 4.15.
  it.each(words.filter(({ name }) => name !== 'fackets'))(
    'have $name of tcp_info above 0 somewhere',
    ({ name }) => {
      const printed = triples.flatMap(({ ss }) => ss.words.get(name) ?? [])
      expect(printed.length).toBeGreaterThan(0)
      // Each number of it: 2/5 is two.
      const most = printed.map(numbersIn).reduce((a, b) => a.map((value, i) => Math.max(value, b[i] ?? 0)))
      expect(
        most.every((value) => value > 0),
        String(most),
      ).toBe(true)
    },
  )

  it('have no owner and no tcp_info in time-wait', () => {
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

/** Whether it may have been there between these two, which differ: each of its numbers is between theirs. */
function isBetween(text: string | undefined, first: string | undefined, last: string | undefined): boolean {
  const [from, now, to] = [first, text, last].map(numbersIn)
  return (from!.length > to!.length ? from! : to!).every((_, i) => {
    const [one, other] = [from![i] ?? 0, to![i] ?? 0]
    const value = now![i] ?? 0
    return Math.min(one, other) <= value && value <= Math.max(one, other)
  })
}

/** Whether a time since something happened may be this one later: it has gone on, or begun anew where that happened again. */
function mayBecome(first: number, later: number, elapsed: number): boolean {
  return (first <= later && later <= first + elapsed) || later <= elapsed
}

function numbersIn(text = ''): number[] {
  return (text.match(/[\d.]+/g) ?? []).map(Number)
}

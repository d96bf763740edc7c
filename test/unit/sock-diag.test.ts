import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { SocketList, type SocketRecord } from '../../src/kernel/sock-diag.js'
import { parseSs, type SsSocket } from '../netns/ss.js'

// What the kernel answered, recorded byte for byte, with what ss said at the same time (record.py there).
const fixture = (name: string) => readFileSync(new URL(`../fixtures/sock-diag/${name}`, import.meta.url))

function listOf(name: string): SocketList {
  const bytes = fixture(`${name}.records`)
  return new SocketList(new Uint8Array(bytes).buffer, 0, false)
}

const ss = new Map(parseSs(fixture('ss.txt').toString()).map((socket) => [socket.cookie, socket]))

function endText({ address, port }: SocketRecord['local'], family: string, state: string): string {
  if (state === 'listen' && address === '::') return `*:${port || '*'}`
  return `${family === 'ipv6' ? `[${address}]` : address}:${port || '*'}`
}

describe.each([
  ['ipv4', 21],
  ['ipv6', 17],
])('a recorded dump of %s', (family, length) => {
  const records = [...listOf(family)]

  it('has every socket of that family', () => {
    expect(records).toHaveLength(length)
    expect(records.map((record) => record.family)).toEqual(records.map(() => family))
    expect(new Set(records.map(({ cookie }) => cookie)).size).toBe(length)
  })

  it.each(records.map((record) => [record.cookie.toString(), record.state, record] as const))(
    '%s, %s, is what ss says',
    (cookie, _, record) => {
      const other = ss.get(cookie)!
      expect({
        state: record.state,
        receiveQueue: record.receiveQueue,
        sendQueue: record.sendQueue,
        local: endText(record.local, family, record.state),
        remote: endText(record.remote, family, record.state),
        cookie,
        timer: record.timer,
        retries: record.retries,
        uid: record.uid ?? 0,
        inode: record.inode ?? 0,
      }).toEqual(withoutRest(other))
      expect(record.info?.segsIn ?? 0).toBe(Number(other.words.get('segs_in') ?? 0))
      expect(record.info?.totalRetrans ?? 0).toBe(Number(other.words.get('retrans')?.split('/')[1] ?? 0))
      if (record.expires === undefined) return expect(record.timer).toBe('off')
      // ss looked within the same tick or two, or a second: that of the recording.
      expect(Math.abs(record.expires - other.expires![0])).toBeLessThan(1_000)
    },
  )

  it('an owner and tcp_info are there where the kernel has them', () => {
    for (const { state, timer, inode, uid, info } of records) {
      const forgotten = timer === 'time-wait' || state === 'syn-recv'
      expect(info === undefined).toBe(forgotten)
      if (forgotten) expect([uid, inode]).toEqual([undefined, undefined])
      if (inode !== undefined) expect(uid).toBe(0)
    }
  })
})

function withoutRest({ words: _, expires: __, ...rest }: SsSocket) {
  return rest
}

describe('a record', () => {
  const record = [...listOf('ipv4')].find(({ timer }) => timer === 'keepalive')!

  it('becomes JSON, with the cookie as a string', () => {
    const json = JSON.parse(JSON.stringify(record))
    expect(json).toMatchObject({
      family: 'ipv4',
      state: 'established',
      local: record.local,
      timer: 'keepalive',
      cookie: record.cookie.toString(),
      info: { state: 1 },
    })
  })

  it('decodes tcp_info once', () => {
    expect(record.info).toBe(record.info)
  })

  it('has no interface where it is bound to none', () => {
    expect(record.interface).toBeUndefined()
  })
})

describe('a record made by hand', () => {
  function recordOf(write: (view: DataView) => void): SocketRecord {
    const view = new DataView(new ArrayBuffer(76))
    view.setUint8(0, 2)
    view.setUint8(1, 1)
    write(view)
    return [...new SocketList(view.buffer, 1, false)][0]!
  }

  it('a timer that is due, which older kernels count below zero, expires in 0 ms', () => {
    const overdue = recordOf((view) => {
      view.setUint8(2, 1)
      view.setInt32(52, -4, true)
    })
    expect(overdue.expires).toBe(0)
  })

  it('a timer that is not known yet is undefined', () => {
    const unknown = recordOf((view) => view.setUint8(2, 9))
    expect(unknown.timer).toBeUndefined()
  })

  it('a cookie of 64 bits is whole', () => {
    const large = recordOf((view) => {
      view.setUint32(44, 0xffff_fffe, true)
      view.setUint32(48, 0x8000_0001, true)
    })
    expect(large.cookie).toBe(0x8000_0001_ffff_fffen)
  })

  it('an interface, and an owner other than root', () => {
    const bound = recordOf((view) => {
      view.setUint32(40, 3, true)
      view.setUint32(64, 1000, true)
      view.setUint32(68, 77, true)
    })
    expect([bound.interface, bound.uid, bound.inode]).toEqual([3, 1000, 77])
  })
})

import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SocketList, type SocketRecord } from '../../src/kernel/sock-diag.js'
import { anyBytes, CASES } from '../support/random-bytes.js'
import { parseSs, type SsSocket } from '../support/ss-output.js'

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
  { family: 'ipv4', length: 21 },
  { family: 'ipv6', length: 17 },
])('a recorded dump of $family', ({ family, length }) => {
  const records = [...listOf(family)]

  it('has every socket of that family', () => {
    expect(records).toHaveLength(length)
    expect(records.map((record) => record.family)).toEqual(records.map(() => family))
    expect(new Set(records.map(({ cookie }) => cookie)).size).toBe(length)
  })

  it.each(records.map((record) => ({ cookie: record.cookie.toString(), state: record.state, record })))(
    'has socket $cookie, $state, as ss shows it',
    ({ cookie, record }) => {
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

  it('has an owner and tcp_info where the kernel has them', () => {
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

  it('becomes JSON with the cookie as a string', () => {
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

  it('has no interface if it is bound to none', () => {
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

  it('has 0 ms left if its timer is due, which older kernels report as negative', () => {
    const overdue = recordOf((view) => {
      view.setUint8(2, 1)
      view.setInt32(52, -4, true)
    })
    expect(overdue.expires).toBe(0)
  })

  it('has an undefined timer if that is not known', () => {
    const unknown = recordOf((view) => view.setUint8(2, 9))
    expect(unknown.timer).toBeUndefined()
  })

  it('keeps a cookie of 64 bits', () => {
    const large = recordOf((view) => {
      view.setUint32(44, 0xffff_fffe, true)
      view.setUint32(48, 0x8000_0001, true)
    })
    expect(large.cookie).toBe(0x8000_0001_ffff_fffen)
  })

  it('has an interface, and an owner other than root', () => {
    const bound = recordOf((view) => {
      view.setUint32(40, 3, true)
      view.setUint32(64, 1000, true)
      view.setUint32(68, 77, true)
    })
    expect([bound.interface, bound.uid, bound.inode]).toEqual([3, 1000, 77])
  })
})

describe('any bytes as records', () => {
  const HEAD = 76

  /** Records of any content with so much tcp_info each, one after the other, and how many of them fit into so many bytes. */
  const anyRecords = fc
    .tuple(anyBytes(1_200), fc.array(fc.nat(300), { maxLength: 4 }), fc.nat(1_600))
    .map(([content, infoLengths, most]) => {
      const ends = [0]
      for (const length of infoLengths) ends.push(Math.ceil((ends.at(-1)! + HEAD + length) / 4) * 4)
      const bytes = new Uint8Array(ends.at(-1)!)
      bytes.set(content.subarray(0, bytes.length))
      const view = new DataView(bytes.buffer)
      for (const [i, length] of infoLengths.entries()) view.setUint32(ends[i]! + 72, length, true)
      const cut = bytes.slice(0, most)
      const whole = infoLengths.filter((length, i) => ends[i]! + HEAD + length <= cut.length)
      return { bytes: cut, infoLengths: whole }
    })

  function isDecoded(record: SocketRecord): boolean {
    const { family, local, remote, expires, retries, cookie, uid, info } = record
    const version = family === 'ipv4' ? 4 : 6
    return (
      [local, remote].every(
        ({ address, port }) => isIP(address) === version && port >= 0 && port <= 65_535,
      ) &&
      (expires === undefined || expires >= 0) &&
      retries <= 255 &&
      cookie >= 0n &&
      cookie < 2n ** 64n &&
      (uid === undefined || uid >= 0) &&
      (info === undefined || Object.keys(info).length > 60) &&
      JSON.parse(JSON.stringify(record)).cookie === cookie.toString()
    )
  }

  it('yield each complete record, decoded', () => {
    const decodes = fc.property(anyRecords, ({ bytes, infoLengths }) => {
      const records = [...new SocketList(bytes.buffer as ArrayBuffer, infoLengths.length, false)]
      return (
        records.length === infoLengths.length &&
        records.every((record, i) => (record.info !== undefined) === infoLengths[i]! > 0 && isDecoded(record))
      )
    })
    fc.assert(decodes, { numRuns: CASES })
  })

  it('yield at most as many records as fit, each decoded', () => {
    const decodes = fc.property(anyBytes(1_200), (bytes) => {
      const records = [...new SocketList(bytes.buffer as ArrayBuffer, 0, false)]
      return records.length <= bytes.length / HEAD && records.every(isDecoded)
    })
    fc.assert(decodes, { numRuns: CASES })
  })
})

import { once } from 'node:events'
import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { inspect, sampleTcpInfo, type TcpInfo, type TcpInfoField, TcpState } from '../../src/index.js'
import { nativeCore } from '../../src/kernel/binding.js'
import { decodeTcpInfo, ownLayout } from '../../src/kernel/tcp-info.js'
import { connect, connectPair } from '../support/connections.js'
import { descriptorOf } from '../support/descriptors.js'
import { until } from '../support/until.js'

const everyField = Object.freeze(Object.keys(ownLayout()) as TcpInfoField[])

/** What moves by itself between two reads: clocks, and what counts against them. */
const clocks: TcpInfoField[] = ['lastDataSent', 'lastDataRecv', 'lastAckRecv', 'busyTime']

describe('TcpInfo of a live connection', () => {
  it('counts what was sent and received', async () => {
    const { socket, peer } = await connectPair()
    peer.resume()
    const before = inspect(socket).info!
    expect(before).toMatchObject({ state: TcpState.ESTABLISHED, bytesSent: 0, segsIn: 1, probes: 0 })
    socket.write(Buffer.alloc(1000))
    peer.write(Buffer.alloc(300))
    await once(socket, 'data')
    await until(() => inspect(socket).info!.unacked === 0)
    const after = inspect(socket).info!
    // The SYN counts as a byte acknowledged.
    expect(after).toMatchObject({
      bytesSent: 1000,
      bytesAcked: 1001,
      bytesReceived: 300,
      dataSegsOut: 1,
      dataSegsIn: 1,
    })
    expect(after.lastDataRecv).toBeLessThan(1_000)
    expect(after.rtt).toBeGreaterThan(0)
    expect(after.minRtt).toBeGreaterThan(0)
    expect(after.sndMss).toBeGreaterThan(500)
  })

  it('shows the idle time in lastDataRecv', async () => {
    const { socket, peer } = await connectPair()
    peer.write('.')
    await once(socket, 'data')
    expect(inspect(socket).info!.lastDataRecv).toBeLessThan(100)
    await until(() => inspect(socket).info!.lastDataRecv >= 1_000)
  })
})

describe('sampleTcpInfo', () => {
  it('agrees with inspect in every field', async () => {
    const { socket, peer } = await connectPair()
    peer.resume()
    socket.write('some data')
    await until(() => inspect(socket).info!.unacked === 0)
    const info = inspect(socket).info!
    const row = sampleTcpInfo([socket], everyField)
    everyField.forEach((field, i) => {
      if (clocks.includes(field)) expect(row[i]! - info[field]!, field).toBeLessThan(100_000)
      else expect(row[i], field).toBe(info[field] ?? Number.NaN)
    })
  })

  it('fills rows in order, with NaN for missing values, and writes nothing beyond them', async () => {
    const [first, second] = await connect(2)
    const closed = (await connectPair()).socket.destroy()
    const out = new Float64Array(10).fill(-1)
    const targets = [first!.socket, closed, descriptorOf(second!.peer), 19_999]
    expect(sampleTcpInfo(targets, ['state', 'probes'], out)).toBe(out)
    expect([...out]).toEqual([1, 0, Number.NaN, Number.NaN, 1, 0, Number.NaN, Number.NaN, -1, -1])
  })

  it('accepts an empty list of targets and of fields', () => {
    expect(sampleTcpInfo([], ['state'])).toHaveLength(0)
    expect(sampleTcpInfo([1, 2], [])).toHaveLength(0)
  })

  it('works with a target whose `socket` getter samples other sockets', async () => {
    const pairs = await Promise.all(Array.from({ length: 3 }, () => connectPair()))
    const [one, two, three] = pairs.map(({ socket }) => socket) as [Socket, Socket, Socket]
    const fields = ['bytesSent'] as const
    const sent = async (socket: Socket, bytes: number) =>
      new Promise((resolve) => socket.write(Buffer.alloc(bytes), resolve))
    await Promise.all([sent(one, 1), sent(two, 2), sent(three, 3)])
    const nested: number[][] = []
    const sampling = (others: Socket[]) => ({
      get socket() {
        nested.push([...sampleTcpInfo(others, fields)])
        return two
      },
    })
    for (const others of [[three], [three, three, three], Array<Socket>(1_000).fill(three)]) {
      expect([...sampleTcpInfo([one, sampling(others), three], fields)]).toEqual([1, 2, 3])
      expect(nested.pop()).toEqual(others.map(() => 3))
    }
  })

  it('returns NaN for a field that a shorter tcp_info lacks, where decoding returns undefined', async () => {
    const { socket } = await connectPair()
    const bytes = new Uint8Array(512)
    const length = nativeCore()!.readTcpInfo(descriptorOf(socket), bytes) as number
    const own = decodeTcpInfo(bytes.subarray(0, length))
    const row = sampleTcpInfo([socket], everyField)
    everyField.forEach((field, i) => void expect(Number.isNaN(row[i])).toBe(own[field] === undefined))
  })

  it.each<{ what: string; targets: unknown; fields: unknown; out: unknown; code: string; field: string }>([
    {
      what: 'an unknown field',
      targets: [],
      fields: ['stat'],
      out: undefined,
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'fields',
    },
    {
      what: 'an inherited name',
      targets: [],
      fields: ['constructor'],
      out: undefined,
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'fields',
    },
    {
      what: 'another kind of array',
      targets: [1],
      fields: ['state'],
      out: new Uint8Array(8),
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'out',
    },
    {
      what: 'one that is too short',
      targets: [1, 2],
      fields: ['state'],
      out: new Float64Array(1),
      code: 'ERR_OUT_OF_RANGE',
      field: 'out',
    },
  ])('refuses $what', ({ targets, fields, out, code, field }) => {
    expect(() => sampleTcpInfo(targets as never, fields as never, out as never)).toThrow(
      expect.objectContaining({ code, field }),
    )
  })

  it('takes any iterable, and suggests the nearest field', async () => {
    const { socket } = (await connect(1))[0]!
    expect(Array.from(sampleTcpInfo(new Set([socket]), ['state']))).toEqual([1])
    expect(() => sampleTcpInfo([socket], ['lastAckRcv' as never])).toThrow(
      expect.objectContaining({
        field: 'fields',
        message: 'Unknown tcp_info field `lastAckRcv`. Did you mean lastAckRecv?',
      }),
    )
  })

  it('allocates nothing per socket', async () => {
    const pairs = await connect(500)
    const sockets = pairs.map(({ socket }) => socket)
    const fields = Object.freeze(['probes', 'lastAckRecv', 'state'] as const satisfies (keyof TcpInfo)[])
    const out = new Float64Array(sockets.length * fields.length)
    const sample = () => sampleTcpInfo(sockets, fields, out)
    for (let i = 0; i < 50; i++) sample()
    const rounds = 40
    const perSocket = () => {
      const before = process.memoryUsage().heapUsed
      for (let i = 0; i < rounds; i++) sample()
      return (process.memoryUsage().heapUsed - before) / rounds / sockets.length
    }
    // What is allocated for each is so every time; what V8 does about code it is still compiling is not.
    const least = Math.min(...Array.from({ length: 5 }, perSocket).filter((bytes) => bytes >= 0))
    // A number boxed for each would be 12 bytes or more; less than a byte is the calls themselves.
    expect(least).toBeLessThan(1)
  })
})

describe('a wrong call of sampleTcpInfo', () => {
  const many = Array.from({ length: 129 }, () => 'state')
  it.each<{ what: string; args: unknown[]; code: string; field: string }>([
    { what: 'no targets', args: [null, ['state']], code: 'ERR_INVALID_ARG_TYPE', field: 'targets' },
    {
      what: 'a promise of targets',
      args: [Promise.resolve([]), ['state']],
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'targets',
    },
    {
      what: 'a number of targets',
      args: [{ length: -1 }, ['state']],
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'targets',
    },
    { what: 'no fields', args: [[], null], code: 'ERR_INVALID_ARG_TYPE', field: 'fields' },
    { what: 'a string of fields', args: [[], 'rtt'], code: 'ERR_INVALID_ARG_TYPE', field: 'fields' },
    { what: 'fields with holes', args: [[], new Array(2)], code: 'ERR_INVALID_ARG_TYPE', field: 'fields' },
    { what: 'too many fields', args: [[], many], code: 'ERR_OUT_OF_RANGE', field: 'fields' },
  ])('is refused: $what', ({ args, code, field }) => {
    const call = () => (sampleTcpInfo as (...values: unknown[]) => unknown)(...args)
    expect(call).toThrow(expect.objectContaining({ code, field }))
  })
})

import { describe, expect, it } from 'vitest'
import {
  destroySocket,
  diffCounters,
  equalsDefault,
  listSockets,
  livenessCounters,
  readCounters,
  readDefaults,
  readSocketOwners,
} from '../../src/host/index.js'

type Loose = (...values: unknown[]) => unknown

const end = { address: '127.0.0.1', port: 1 }
const record = { local: end, remote: end, cookie: 5n }

describe('what concerns the host, called wrongly', () => {
  it.each<[string, () => unknown, string]>([
    ['livenessCounters of nothing', () => (livenessCounters as Loose)(null), 'counters'],
    ['livenessCounters of something else', () => (livenessCounters as Loose)({ Tcp: {} }), 'counters'],
    ['equalsDefault without values', () => (equalsDefault as Loose)(null, {}), 'values'],
    ['equalsDefault without defaults', () => (equalsDefault as Loose)({}, 5), 'defaults'],
    ['readCounters with a mistyped pid', () => (readCounters as Loose)({ Pid: 1 }), 'Pid'],
    ['readCounters of a list', () => (readCounters as Loose)([]), 'options'],
    ['readDefaults with a mistyped pid', () => (readDefaults as Loose)({ Pid: 1 }), 'Pid'],
    ['readDefaults of a list', () => (readDefaults as Loose)([]), 'options'],
    ['readDefaults of a process by name', () => (readDefaults as Loose)({ pid: 'nginx' }), 'pid'],
    ['destroySocket with a mistyped pid', () => (destroySocket as Loose)(record, { Pid: 1 }), 'Pid'],
    ['destroySocket with no options', () => (destroySocket as Loose)(record, null), 'options'],
    ['destroySocket of a process by name', () => (destroySocket as Loose)(record, { pid: '1' }), 'pid'],
  ])('%s', (_, call, field) => {
    expect(call).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', field }))
  })

  it.each([0, -1, 1.5, Number.NaN, 2 ** 31])('no process has the id %d', async (pid) => {
    const outOfRange = expect.objectContaining({ code: 'ERR_OUT_OF_RANGE', field: 'pid' })
    for (const call of [readCounters, readDefaults]) expect(() => call({ pid })).toThrow(outOfRange)
    expect(() => destroySocket(record, { pid })).toThrow(outOfRange)
    await expect(listSockets({ pid })).rejects.toEqual(outOfRange)
  })

  it('listSockets of a process by name', async () => {
    await expect((listSockets as (filter: unknown) => Promise<unknown>)({ pid: 'nginx' })).rejects.toEqual(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', field: 'pid' }),
    )
  })

  it('rates have the groups that livenessCounters reads, whatever was read', () => {
    const rates = diffCounters({ time: 1 } as never, { time: 2 } as never)
    expect(livenessCounters(rates)).toMatchObject({ established: undefined })
  })

  it('readSocketOwners passes over sockets that have no inode', async () => {
    expect(await readSocketOwners([undefined])).toEqual(new Map())
  })
})

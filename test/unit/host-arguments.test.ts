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

describe('wrong calls of deadpeer/host', () => {
  it.each<{ what: string; call: () => unknown; field: string }>([
    { what: 'livenessCounters of nothing', call: () => (livenessCounters as Loose)(null), field: 'counters' },
    {
      what: 'livenessCounters of something else',
      call: () => (livenessCounters as Loose)({ Tcp: {} }),
      field: 'counters',
    },
    { what: 'equalsDefault without values', call: () => (equalsDefault as Loose)(null, {}), field: 'values' },
    {
      what: 'equalsDefault without defaults',
      call: () => (equalsDefault as Loose)({}, 5),
      field: 'defaults',
    },
    {
      what: 'readCounters with a mistyped pid',
      call: () => (readCounters as Loose)({ Pid: 1 }),
      field: 'Pid',
    },
    { what: 'readCounters of a list', call: () => (readCounters as Loose)([]), field: 'options' },
    {
      what: 'readDefaults with a mistyped pid',
      call: () => (readDefaults as Loose)({ Pid: 1 }),
      field: 'Pid',
    },
    { what: 'readDefaults of a list', call: () => (readDefaults as Loose)([]), field: 'options' },
    {
      what: 'readDefaults of a process by name',
      call: () => (readDefaults as Loose)({ pid: 'nginx' }),
      field: 'pid',
    },
    {
      what: 'destroySocket with a mistyped pid',
      call: () => (destroySocket as Loose)(record, { Pid: 1 }),
      field: 'Pid',
    },
    {
      what: 'destroySocket with no options',
      call: () => (destroySocket as Loose)(record, null),
      field: 'options',
    },
    {
      what: 'destroySocket of a process by name',
      call: () => (destroySocket as Loose)(record, { pid: '1' }),
      field: 'pid',
    },
  ])('are refused: $what', ({ call, field }) => {
    expect(call).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', field }))
  })

  it.each([0, -1, 1.5, Number.NaN, 2 ** 31])('are refused with the process id %d', async (pid) => {
    const outOfRange = expect.objectContaining({ code: 'ERR_OUT_OF_RANGE', field: 'pid' })
    for (const call of [readCounters, readDefaults]) expect(() => call({ pid })).toThrow(outOfRange)
    expect(() => destroySocket(record, { pid })).toThrow(outOfRange)
    await expect(listSockets({ pid })).rejects.toEqual(outOfRange)
  })

  it('include listSockets of a process by name', async () => {
    await expect((listSockets as (filter: unknown) => Promise<unknown>)({ pid: 'nginx' })).rejects.toEqual(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', field: 'pid' }),
    )
  })

  it('do not include livenessCounters of rates, which always have the groups that it needs', () => {
    const rates = diffCounters({ time: 1 } as never, { time: 2 } as never)
    expect(livenessCounters(rates)).toMatchObject({ established: undefined })
  })

  it('do not include readSocketOwners of sockets without an inode', async () => {
    expect(await readSocketOwners([undefined])).toEqual(new Map())
  })
})

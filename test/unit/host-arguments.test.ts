import { describe, expect, it } from 'vitest'
import {
  diffCounters,
  equalsDefault,
  livenessCounters,
  readCounters,
  readSocketOwners,
} from '../../src/host.js'

type Loose = (...values: unknown[]) => unknown

describe('what concerns the host, called wrongly', () => {
  it.each<[string, () => unknown, string]>([
    ['livenessCounters of nothing', () => (livenessCounters as Loose)(null), 'counters'],
    ['livenessCounters of something else', () => (livenessCounters as Loose)({ Tcp: {} }), 'counters'],
    ['equalsDefault without values', () => (equalsDefault as Loose)(null, {}), 'values'],
    ['equalsDefault without defaults', () => (equalsDefault as Loose)({}, 5), 'defaults'],
    ['readCounters with a mistyped pid', () => (readCounters as Loose)({ Pid: 1 }), 'Pid'],
    ['readCounters of a list', () => (readCounters as Loose)([]), 'options'],
  ])('%s', (_, call, field) => {
    expect(call).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', field }))
  })

  it('rates have the groups that livenessCounters reads, whatever was read', () => {
    const rates = diffCounters({ time: 1 } as never, { time: 2 } as never)
    expect(livenessCounters(rates)).toMatchObject({ established: undefined })
  })

  it('readSocketOwners passes over sockets that have no inode', async () => {
    expect(await readSocketOwners([undefined])).toEqual(new Map())
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { connectionArgument } from '../../src/cli/commands/inspect/connection-argument.js'
import { stateArgument } from '../../src/cli/commands/ls/state-argument.js'
import { duration } from '../../src/cli/lib/duration.js'
import { endWords, shortTime, stateWords } from '../../src/cli/lib/format-socket.js'
import { wholeNumberArgument } from '../../src/cli/lib/number-argument.js'
import { socketStates } from '../../src/kernel/sock-diag.js'
import { ports, processIds } from '../../src/options/ranges.js'

const portArgument = wholeNumberArgument(ports)
const pidArgument = wholeNumberArgument(processIds)
const port = fc.integer({ min: 1, max: 65_535 })
const end = fc.record({ address: fc.oneof(fc.ipV4(), fc.ipV6()), port })

describe('a valid argument', () => {
  it('is read as a port, a process or a state', () => {
    fc.assert(
      fc.property(port, (n) => {
        expect(portArgument(String(n))).toBe(n)
      }),
    )
    fc.assert(
      fc.property(fc.integer({ min: 1 }), (n) => {
        expect(pidArgument(String(n))).toBe(n)
      }),
    )
    for (const state of socketStates) {
      expect(stateArgument(state)).toEqual([state])
      expect(stateArgument(stateWords[state])).toEqual([state])
    }
    expect(stateArgument('LISTEN', ['established'])).toEqual(['established', 'listen'])
    expect(stateArgument('all')).toEqual(socketStates)
  })

  it('is read as a connection by its addresses, as ls writes them, or by its descriptor', () => {
    fc.assert(
      fc.property(end, end, (local, remote) => {
        expect(connectionArgument(`${endWords(local)}-${endWords(remote)}`)).toEqual({ local, remote })
      }),
    )
    fc.assert(
      fc.property(fc.nat(999_999_999), fc.nat(999_999_999), (pid, fd) => {
        expect(connectionArgument(`${pid}:${fd}`)).toEqual({ pid, fd })
      }),
    )
  })
})

describe('any other argument', () => {
  const parsers = { portArgument, pidArgument, stateArgument, connectionArgument, duration }
  const nearlyRight = fc.oneof(
    fc.string(),
    fc.string({ unit: fc.constantFrom(...'0123456789:.-[]%/eE+ smhd'), maxLength: 24 }),
    fc.double().map(String),
  )
  it.each(Object.entries(parsers).map(([name, parse]) => ({ name, parse })))(
    'is refused in words by $name',
    ({ parse }) => {
      fc.assert(
        fc.property(nearlyRight, (text) => {
          let read: unknown
          try {
            read = parse(text)
          } catch (error) {
            expect(error).toMatchObject({
              code: 'commander.invalidArgument',
              message: expect.stringMatching(/^\P{C}+$/u),
            })
            return
          }
          // What was taken has numbers that make sense, all the way down.
          JSON.stringify(read, (_key, value) => {
            if (typeof value === 'number') expect(value).toBeGreaterThanOrEqual(0)
            expect(value).not.toBeUndefined()
            return value
          })
        }),
        { numRuns: 1_000 },
      )
    },
  )
})

describe('the times in a table', () => {
  it.each([
    { ms: 0, text: '0ms' },
    { ms: 999, text: '999ms' },
    { ms: 4_250, text: '4.2s' },
    { ms: 60_000, text: '1m' },
    { ms: 112_000, text: '1m52s' },
    { ms: 11_100_000, text: '3h5m' },
    { ms: 172_800_000, text: '2d' },
    { ms: Number.POSITIVE_INFINITY, text: 'never' },
  ])('write $ms ms as $text', ({ ms, text }) => {
    expect(shortTime(ms)).toBe(text)
  })
})

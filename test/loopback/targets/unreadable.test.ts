import net from 'node:net'
import { describe, expect, it } from 'vitest'
import { probeAll, sampleTcpInfo, tuneAll, watch } from '../../../src/index.js'
import { connectPair } from '../../support/connections.js'
import { closedAfterwards } from '../../support/target-setup.js'

// One bad item of a list is refused, and the others are served, whatever touching it throws.

const throwing = (name: string, value: unknown) =>
  Object.defineProperty({}, name, {
    enumerable: true,
    get() {
      throw value
    },
  })

/** A proxy whose traps all throw. */
const trapped = (value: unknown) => {
  const fail = () => {
    throw value
  }
  return new Proxy({}, new Proxy({}, { get: () => fail }))
}

const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

const rows: { what: string; make: () => object }[] = [
  { what: 'a getter that throws an error', make: () => throwing('socket', new Error('broken')) },
  { what: 'a getter that throws an errno', make: () => throwing('socket', { code: 'EMFILE', errno: -24 }) },
  { what: 'a getter that throws null', make: () => throwing('socket', null) },
  { what: 'a getter that throws undefined', make: () => throwing('socket', undefined) },
  { what: 'a getter that throws a revoked proxy', make: () => throwing('socket', revoked()) },
  { what: 'a getter of another member', make: () => throwing('then', new Error('broken')) },
  { what: 'a proxy that throws an error', make: () => trapped(new Error('trapped')) },
  { what: 'a proxy that throws undefined', make: () => trapped(undefined) },
  { what: 'a revoked proxy', make: revoked },
  {
    what: 'a socket whose descriptor cannot be read',
    make: () => Object.defineProperty(new net.Socket(), '_handle', { get: () => throwing('fd', null) }),
  },
]

describe('a target whose fields throw when they are read', () => {
  it.each(rows)('gets NaN from sampleTcpInfo, and the others are sampled: $what', async ({ make }) => {
    const { socket } = await connectPair()
    const list = [make() as never, socket]
    expect(Array.from(sampleTcpInfo(list, ['state']))).toEqual([Number.NaN, 1])
  })

  it.each(rows)('gets an error from tuneAll, and the others are tuned: $what', async ({ make }) => {
    const { socket } = await connectPair()
    const [one, other] = await tuneAll([make() as never, socket], 'lan')
    expect([one!.error instanceof Error, other]).toEqual([true, {}])
  })

  it.each(rows)('gets an error from probeAll, and the others are probed: $what', async ({ make }) => {
    const { socket } = await connectPair()
    const [one, other] = await probeAll([make() as never, socket])
    expect([one!.evidence, one!.error instanceof Error]).toEqual(['error', true])
    expect(other).toMatchObject({ alive: true })
  })

  it.each(rows)('makes the watcher emit one error, and the others are watched: $what', async ({ make }) => {
    const { socket } = await connectPair()
    const watcher = closedAfterwards(watch(), (it) => it.close())
    const errors: unknown[] = []
    watcher.on('error', (error) => errors.push(error instanceof Error))
    watcher.add([make() as never, socket])
    await new Promise((resolve) => setImmediate(resolve))
    expect([watcher.has(socket), watcher.size, errors]).toEqual([true, 1, [true]])
  })
})

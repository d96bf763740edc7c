import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ConnectionPath, markPath, showsAnsweredProbe } from '../../src/connection/path.js'
import type { NativeCore } from '../../src/kernel/binding.js'
import type { Sample } from '../../src/kernel/liveness.js'
import { TcpState } from '../../src/kernel/tcp-info.js'

const FD = 3
const HOUR = 3_600_000

/** A core whose sockets are connected to an address and a port, from 192.0.2.1. */
function coreFor(remote: string, port = 443): NativeCore {
  const readAddresses = (_fd: number, bytes: Uint8Array) => {
    write(bytes, 0, '192.0.2.1', 40_000)
    write(bytes, 36, remote, port)
    return undefined
  }
  return { readAddresses } as Partial<NativeCore> as NativeCore
}

function write(bytes: Uint8Array, at: number, address: string, port: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  view.setUint16(at, 2, true)
  view.setUint16(at + 2, port, true)
  bytes.set(address.split('.').map(Number), at + 4)
}

let addresses = 0
/** An address that no other test has used. */
const freshAddress = () => `198.51.${Math.floor(++addresses / 256)}.${addresses % 256}`

let now = 100_000
/** An idle connection: the peer was heard, and data was sent or received, so long ago. */
function sample(heard: number, data = heard, more: Partial<Sample> = {}): Sample {
  const state = TcpState.ESTABLISHED
  const counters = { state, probes: 0, retransmits: 0, unacked: 0, notSent: 0, rto: 200 }
  return { ...counters, sampledAt: now, heardAt: now - heard, dataAt: now - data, ...more }
}

function newPath(core = coreFor(freshAddress()), isOutgoing = true) {
  const path = new ConnectionPath(isOutgoing)
  return {
    path,
    core,
    get state() {
      return path.state(core, FD)
    },
    /** As many probes as a verdict needs went unanswered. */
    silence: (idle = 3_000) => path.unanswered(sample(idle)),
    /** Data was sent, and acknowledged at once. */
    data: () => {
      now += 10_000
      path.observe(core, FD, sample(0))
    },
    answer: () => path.answered(core, FD, sample(0, 5_000)),
  }
}

describe("the state of a connection's path", () => {
  it('is unproven at first', () => expect(newPath().state).toBe('unproven'))

  it('is `answers` after a probe was acknowledged', () => {
    const connection = newPath()
    connection.answer()
    expect(connection.state).toBe('answers')
  })

  it.each(['127.0.0.1', '127.9.9.9', '192.0.2.1'])('is that it answers within this host (%s)', (address) => {
    expect(newPath(coreFor(address)).state).toBe('answers')
  })

  it('is `deaf` after silence, data, silence and data', () => {
    const connection = newPath()
    const steps = [connection.silence, connection.data, connection.silence, connection.data]
    const states = steps.map((step) => {
      step()
      return connection.state
    })
    expect(states).toEqual(['unproven', 'unproven', 'unproven', 'deaf'])
  })

  it('stays `unproven` after one outage, however long', () => {
    const connection = newPath()
    for (let i = 0; i < 10; i++) connection.silence(3_000 + i * 10_000)
    connection.data()
    connection.data()
    expect(connection.state).toBe('unproven')
  })

  it('is proven anew after each acknowledged probe', () => {
    const connection = newPath()
    for (const step of ['silence', 'data', 'silence', 'answer', 'data'] as const) connection[step]()
    expect(connection.state).toBe('answers')
    for (const step of ['silence', 'data'] as const) connection[step]()
    expect(connection.state).toBe('answers')
  })

  it('is `answers` again after a deaf path has acknowledged a probe', () => {
    const connection = newPath()
    connection.path.deaf(connection.core, FD)
    expect(connection.state).toBe('deaf')
    connection.answer()
    expect(connection.state).toBe('answers')
  })

  it.each([
    ['data that is not acknowledged yet', () => sample(3_000, 0, { unacked: 1 })],
    ['data that was sent, without a segment from the peer', () => sample(3_000, 0)],
    ['the answer to a late probe', () => sample(0, 3_000)],
  ])('does not take %s for data that passed', (_, next) => {
    const connection = newPath()
    connection.silence()
    connection.path.observe(connection.core, FD, next())
    connection.silence()
    connection.data()
    expect(connection.state).toBe('unproven')
  })

  it('is `unproven` if the addresses cannot be read', () => {
    const core = { readAddresses: () => ({ errno: -9 }) } as Partial<NativeCore> as NativeCore
    expect(newPath(core).state).toBe('unproven')
  })
})

describe('what connections to one destination share', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }))
  afterEach(() => void vi.useRealTimers())

  it('is the state that one of them has shown, by address and port', () => {
    const address = freshAddress()
    newPath(coreFor(address)).answer()
    expect(newPath(coreFor(address)).state).toBe('answers')
    expect(newPath(coreFor(address, 80)).state).toBe('unproven')
    const other = newPath(coreFor(address, 80))
    other.path.deaf(other.core, FD)
    expect(newPath(coreFor(address, 80)).state).toBe('deaf')
    expect(newPath(coreFor(address)).state).toBe('answers')
  })

  it('is nothing for accepted connections', () => {
    const core = coreFor(freshAddress())
    const accepted = newPath(core, false)
    accepted.answer()
    expect(accepted.state).toBe('answers')
    expect(newPath(core).state).toBe('unproven')
    newPath(core).answer()
    expect(newPath(core, false).state).toBe('unproven')
  })

  it('is nothing if some answer and others are deaf, as behind a load balancer', () => {
    const core = coreFor(freshAddress())
    const [one, other] = [newPath(core), newPath(core)]
    one.answer()
    other.path.deaf(core, FD)
    expect([one.state, other.state, newPath(core).state]).toEqual(['answers', 'deaf', 'unproven'])
  })

  it('expires after an hour without a new result', () => {
    const connection = newPath()
    connection.answer()
    vi.advanceTimersByTime(HOUR - 1)
    expect(newPath(connection.core).state).toBe('answers')
    now += 120_000
    connection.answer()
    vi.advanceTimersByTime(HOUR - 1)
    expect(newPath(connection.core).state).toBe('answers')
    vi.advanceTimersByTime(1)
    expect(newPath(connection.core).state).toBe('unproven')
  })

  it('is kept for the last 1,000 destinations', () => {
    const first = newPath()
    first.answer()
    for (let i = 0; i < 999; i++) newPath().answer()
    expect(newPath(first.core).state).toBe('answers')
    newPath().answer()
    expect(newPath(first.core).state).toBe('unproven')
    expect(first.state).toBe('answers')
  })

  it('is overridden by the state that a test sets, and that by what the connection itself shows', () => {
    const core = coreFor('127.0.0.1')
    // The peer sees both ends the other way round.
    const peer = {
      readAddresses: (_fd: number, bytes: Uint8Array) => {
        write(bytes, 0, '127.0.0.1', 443)
        write(bytes, 36, '192.0.2.1', 40_000)
        return undefined
      },
    } as Partial<NativeCore> as NativeCore
    markPath(peer, FD, 'unproven')
    const connection = newPath(core)
    expect(connection.state).toBe('unproven')
    connection.answer()
    expect(connection.state).toBe('answers')
    markPath(peer, FD, undefined)
    expect(newPath(core).state).toBe('answers')
  })
})

describe('the counters show that keepalive was answered', () => {
  const own = { enable: true, initialDelay: 20_000 }
  it.each([
    ['if the last segment came after the idle time', sample(1_000, 21_000), own, true],
    ['not if it came sooner, as the ACK of a reader does', sample(1_000, 15_000), own, false],
    ['not if it came with data', sample(1_000), own, false],
    ['not if data is in flight', sample(1_000, 21_000, { unacked: 1 }), own, false],
    ['not if the peer has closed', sample(1_000, 21_000, { state: TcpState.CLOSE_WAIT }), own, false],
    ['not without keepalive', sample(1_000, 21_000), { ...own, enable: false }, false],
  ])('%s', (_, counters, options, shows) => {
    expect(showsAnsweredProbe(counters, options)).toBe(shows)
  })
})

import { once } from 'node:events'
import util from 'node:util'
import { describe, expect, it } from 'vitest'
import { listSockets } from '../../src/host/index.js'
import { HttpAgent, HttpsAgent } from '../../src/http/index.js'
import { type Death, inspect, TcpState, watch } from '../../src/index.js'
import { createAgent } from '../../src/undici/index.js'
import { connectPair } from '../support/connections.js'
import { pairIn } from '../support/stream-states.js'

/** As `console.log` prints it. */
const printed = (value: unknown) => util.format(value)
const linesOf = (text: string) => text.split('\n')

async function die(): Promise<Death> {
  const { socket, peer } = await pairIn('paused')
  const watcher = watch().add(socket)
  const died = once(watcher, 'dead') as Promise<[Death]>
  peer.resetAndDestroy()
  const [death] = await died
  return death
}

describe('console.log', () => {
  it('prints an inspection in at most 16 lines, with the verdict first and the state by name', async () => {
    const { socket } = await connectPair()
    const text = printed(inspect(socket))
    expect(linesOf(text).length).toBeLessThanOrEqual(16)
    expect(text).toMatch(/^Inspection \{\n {2}verdict: 'alive',\n {2}evidence: 'heard /)
    expect(text).toMatch(
      /\n {2}info: TcpInfo \{ state: 'ESTABLISHED', probes: 0, .*, \.\.\. \d+ more \}\n\}$/,
    )
  })

  it('prints the counters on one line, with the state as a word, for every state', async () => {
    const { socket } = await connectPair()
    const { info } = inspect(socket)
    for (const [name, state] of Object.entries(TcpState)) {
      const text = printed(Object.assign(Object.create(Object.getPrototypeOf(info)), info, { state }))
      expect(linesOf(text)).toHaveLength(1)
      expect(text).toMatch(new RegExp(`^TcpInfo \\{ state: '${name}', `))
    }
  })

  it('prints how many counters it leaves out, and all counters of a copy', async () => {
    const { socket } = await connectPair()
    const info = inspect(socket).info!
    const left = Number(/\.\.\. (\d+) more/.exec(printed(info))![1])
    expect(left).toBe(Object.keys(info).length - 8)
    for (const field of Object.keys(info)) expect(printed({ ...info })).toContain(`${field}: `)
  })

  it('leaves out counters that the kernel does not have', async () => {
    const { socket } = await connectPair()
    const info = inspect(socket).info!
    const older = Object.assign(Object.create(Object.getPrototypeOf(info)), info, { notsentBytes: undefined })
    expect(printed(older)).not.toContain('notsentBytes')
  })

  it('prints a watcher as its counts', async () => {
    const { socket } = await connectPair()
    const watcher = watch().add(socket)
    const text = printed(watcher)
    watcher.close()
    expect(linesOf(text).length).toBeLessThanOrEqual(8)
    expect(text).toMatch(/^Watcher \{ added: 1, watching: 1, dead: 0, closed: 0, removed: 0 \}$/)
  })

  it.each<{ name: string; make: () => { destroy(): unknown } }>([
    { name: 'HttpAgent', make: () => new HttpAgent() },
    { name: 'HttpsAgent', make: () => new HttpsAgent() },
    { name: 'Agent of createAgent()', make: () => createAgent() },
    { name: 'Agent of createAgent()', make: () => createAgent().compose((dispatch) => dispatch) as never },
  ])('of $name is its name and its counts', async ({ name, make }) => {
    const agent = make()
    const text = printed(agent)
    await agent.destroy()
    expect(linesOf(text).length).toBeLessThanOrEqual(18)
    expect(text.startsWith(`${name} {\n`)).toBe(true)
    expect(text).toMatch(/\{\s+origins: 0,\s+opened: 0,/)
  })

  it('prints a list of sockets as an array of records', async () => {
    const { socket } = await connectPair()
    const list = await listSockets({ localPort: socket.localPort!, states: ['established'] })
    const text = printed(list)
    expect(text).toMatch(/^SocketList\(\d+\) \[\n {2}\{\n {4}family: 'ipv4',\n {4}state: 'established',/)
    expect(text).toContain(`port: ${socket.localPort}`)
  })

  it('prints a death, and its error, with the counters on one line and without the socket', async () => {
    const death = await die()
    const text = printed(death)
    expect(linesOf(text).length).toBeLessThanOrEqual(12)
    expect(text).toContain('socket: [Socket]')
    expect(text).toContain(`port: ${death.remote.port}`)
    expect(text).toContain('error: [PeerDeathError: The peer is gone (reset): ')
    const ofError = linesOf(printed(death.error))
    expect(ofError[0]).toMatch(/^PeerDeathError: The peer is gone \(reset\): /)
    expect(ofError.filter((line) => line.startsWith('  info: TcpInfo {'))).toHaveLength(1)
    const stack = linesOf(death.error.stack!).length
    expect(ofError.length).toBeLessThanOrEqual(stack + 6)
  })
})

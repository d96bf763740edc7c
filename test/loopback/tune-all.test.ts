import { once } from 'node:events'
import net from 'node:net'
import { describe, expect, it } from 'vitest'
import { descriptorOf } from '../../src/connection/target.js'
import { inspect, profiles, type Target, tuneAll } from '../../src/index.js'
import { connect, connectPair } from '../support/connections.js'

describe('tuneAll', () => {
  it('tunes every target, and resolves with one result for each, in order', async () => {
    const pairs = await connect(1_500)
    const sockets = pairs.flatMap(({ socket, peer }) => [socket, peer])
    const results = await tuneAll(sockets, 'datacenter')
    expect(results).toHaveLength(3_000)
    expect(results.every((result) => Object.keys(result).length === 0)).toBe(true)
    for (const socket of sockets) expect(inspect(socket).profile).toMatchObject(profiles.datacenter)
  })

  it('tunes the others when one fails', async () => {
    const { socket, peer } = await connectPair()
    const closed = (await connectPair()).socket.destroy()
    const connecting = new net.Socket()
    const targets = [
      socket,
      closed,
      19_999,
      {} as Target,
      null as never,
      connecting,
      -1,
      1.5,
      { socket: peer },
    ]
    const results = await tuneAll(targets, 'cloud')
    expect(results.map(({ error }) => (error as NodeJS.ErrnoException)?.code)).toEqual([
      undefined,
      'ERR_SOCKET_CLOSED',
      'ERR_SOCKET_CLOSED',
      'ERR_INVALID_ARG_TYPE',
      'ERR_INVALID_ARG_TYPE',
      undefined,
      'ERR_INVALID_ARG_TYPE',
      'ERR_INVALID_ARG_TYPE',
      undefined,
    ])
    expect(results[5]).toEqual({ pending: profiles.cloud })
    expect(inspect(peer).profile).toMatchObject(profiles.cloud)
  })

  it('gives an error for a number that becomes a valid descriptor only if truncated to 32 bits', async () => {
    const { socket } = await connectPair()
    const fd = descriptorOf(socket)
    const before = inspect(socket).profile
    const results = await tuneAll([2 ** 32 + fd, fd - 2 ** 32], 'lan')
    for (const { error } of results) expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    expect(inspect(socket).profile).toEqual(before)
  })

  it('accepts any iterable, also an empty one', async () => {
    const { socket, peer } = await connectPair()
    expect(await tuneAll(new Set([socket, peer]), 'cloud')).toHaveLength(2)
    expect(await tuneAll([], 'cloud')).toEqual([])
  })

  it('rejects a bad profile, and changes no socket', async () => {
    const { socket } = await connectPair()
    const before = inspect(socket).profile
    await expect(tuneAll([socket], { initialDelay: 5_000, interval: 1 })).rejects.toMatchObject({
      code: 'ERR_OUT_OF_RANGE',
    })
    await expect(tuneAll([socket], 'cluod' as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    for (const targets of [5, null, {}]) {
      const refused = { code: 'ERR_INVALID_ARG_TYPE', field: 'targets' }
      await expect(tuneAll(targets as never, 'cloud')).rejects.toMatchObject(refused)
    }
    expect(inspect(socket).profile).toEqual(before)
  })

  it('lets the event loop run meanwhile', async () => {
    const pairs = await connect(3_000)
    let turns = 0
    const count = setInterval(() => turns++, 0)
    await tuneAll(
      pairs.map(({ socket }) => socket),
      'cloud',
    )
    clearInterval(count)
    expect(turns).toBeGreaterThan(2)
  })

  it('gives an error for each socket that closes while it runs', async () => {
    const pairs = await connect(2_000)
    const running = tuneAll(
      pairs.map(({ socket }) => socket),
      'cloud',
    )
    const last = pairs.at(-1)!.socket
    last.destroy()
    await once(last, 'close')
    const results = await running
    expect(results.at(-1)?.error).toMatchObject({ code: 'ERR_SOCKET_CLOSED' })
    expect(results.slice(0, -1).every(({ error }) => error === undefined)).toBe(true)
  })
})

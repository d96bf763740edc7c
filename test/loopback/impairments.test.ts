import { once } from 'node:events'
import net from 'node:net'
import { describe, expect, it } from 'vitest'
import { blackHole, lossy } from '../../src/testing/index.js'
import { connectPair, listen } from '../support/connections.js'
import { descriptorOf } from '../support/descriptors.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { hears, tookFilter } from '../support/segment-counts.js'

// With a share of 0 or 1, a single segment shows which impairment is in force.

describe.runIf(hasNetAdmin)('several impairments on one socket', () => {
  it('drop all segments while a black hole is among them, whichever was set first', async () => {
    const pair = await connectPair()
    const before = lossy(pair.peer, 0)
    const hole = blackHole(pair.peer)
    expect(await hears(pair)).toBe(false)
    const after = lossy(pair.peer, 0)
    expect(await hears(pair)).toBe(false)
    before.restore()
    expect(await hears(pair)).toBe(false)
    hole.restore()
    expect(await hears(pair)).toBe(true)
    after.restore()
    expect(tookFilter(pair)).toBe(false)
  })

  it('apply loss that was set during a black hole once the black hole is restored', async () => {
    const pair = await connectPair()
    const hole = blackHole(pair.peer)
    const all = lossy(pair.peer, 1)
    hole.restore()
    expect(await hears(pair)).toBe(false)
    all.restore()
    expect(await hears(pair)).toBe(true)
    expect(tookFilter(pair)).toBe(false)
  })

  it('let segments through again once the last black hole is restored, in any order', async () => {
    const pair = await connectPair()
    const holes = [blackHole(pair.peer), blackHole(descriptorOf(pair.peer)), blackHole(pair.peer)]
    for (const i of [1, 0]) {
      holes[i]!.restore()
      holes[i]!.restore()
      expect(await hears(pair)).toBe(false)
    }
    holes[2]!.restore()
    expect(await hears(pair)).toBe(true)
    expect(tookFilter(pair)).toBe(false)
  })

  it('apply the latest share of loss, and the previous one after the latest is restored', async () => {
    const pair = await connectPair()
    const first = lossy(pair.peer, 1)
    const second = lossy(pair.peer, 0)
    expect(await hears(pair)).toBe(true)
    const third = lossy(pair.peer, 1)
    expect(await hears(pair)).toBe(false)
    second.restore()
    expect(await hears(pair)).toBe(false)
    third.restore()
    expect(await hears(pair)).toBe(false)
    first.restore()
    expect(await hears(pair)).toBe(true)
    expect(tookFilter(pair)).toBe(false)
  })

  it('keep loss in force during and after a black hole of a few segments', async () => {
    const pair = await connectPair()
    const all = lossy(pair.peer, 1)
    expect(await hears(pair)).toBe(false)
    const brief = blackHole(pair.peer, { segments: 1 })
    expect(brief.swallowed).toBe(0)
    expect(await hears(pair)).toBe(false)
    await brief.done
    const swallowed = brief.swallowed
    expect(swallowed).toBeGreaterThanOrEqual(1)
    expect(await hears(pair)).toBe(false)
    expect(brief.swallowed).toBe(swallowed)
    all.restore()
    expect(tookFilter(pair)).toBe(false)
  })

  it('end a black hole of a few segments while another black hole stays in force', async () => {
    const pair = await connectPair()
    const hole = blackHole(pair.peer)
    const brief = blackHole(pair.peer, { segments: 1 })
    expect(await hears(pair)).toBe(false)
    await brief.done
    expect(await hears(pair)).toBe(false)
    hole.restore()
    expect(await hears(pair)).toBe(true)
    expect(tookFilter(pair)).toBe(false)
  })
})

describe.runIf(hasNetAdmin)('a descriptor that now belongs to another socket', () => {
  it.for(['whole', 'brief', 'lossy'])(
    'is not changed when the impairment of the old socket ends: %s',
    async (kind) => {
      const server = net.createServer()
      const port = await listen(server)
      const { peer } = await connectPair()
      const fd = descriptorOf(peer)
      const brief = kind === 'brief' ? blackHole(fd, { segments: 2 }) : undefined
      const old = brief ?? (kind === 'lossy' ? lossy(fd, 1) : blackHole(fd))
      peer.destroy()
      await once(peer, 'close')
      // The kernel assigns the lowest free number, so one of the next sockets gets this one.
      const pairs: { socket: net.Socket; peer: net.Socket }[] = []
      const ends = () => pairs.flatMap(({ socket, peer }) => [socket, peer])
      while (!ends().some((end) => descriptorOf(end) === fd)) {
        expect(pairs.length).toBeLessThan(100)
        const socket = net.connect(port, '127.0.0.1')
        const [[accepted]] = await Promise.all([once(server, 'connection'), once(socket, 'connect')])
        pairs.push({ socket, peer: accepted })
      }
      const heir = pairs.find(({ socket, peer }) => [socket, peer].some((end) => descriptorOf(end) === fd))!
      const pair = descriptorOf(heir.peer) === fd ? heir : { socket: heir.peer, peer: heir.socket }
      const own = blackHole(fd)
      await brief?.done
      old.restore()
      expect(await hears(pair)).toBe(false)
      own.restore()
      expect(await hears(pair)).toBe(true)
      expect(tookFilter(pair)).toBe(false)
      for (const end of ends()) end.destroy()
      server.close()
    },
  )
})

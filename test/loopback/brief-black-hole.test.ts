import { execFile } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { inspect, tune } from '../../src/index.js'
import { type BriefBlackHole, blackHole } from '../../src/testing/index.js'
import { connectPair, listen } from '../support/connections.js'
import { handleOf } from '../support/descriptors.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { countLost, hears, tookFilter } from '../support/segment-counts.js'
import { until } from '../support/until.js'

const refusal = (code: string, message: RegExp, details: object = {}) =>
  expect.objectContaining({ code, message: expect.stringMatching(message), ...details })

/** What a black hole says of itself is what both ends of the connection show. */
function expectTruth({ swallowed }: BriefBlackHole, { least, most }: { least: number; most: number }) {
  expect(swallowed).toBeGreaterThanOrEqual(least)
  expect(swallowed).toBeLessThanOrEqual(most)
}

describe.runIf(hasNetAdmin).concurrent('a black hole of a few segments', () => {
  it.for(['127.0.0.1', '::1'])('drops exactly that many keepalive probes over %s', async (host) => {
    const pair = await connectPair({ host })
    tune(pair.socket, { initialDelay: 1_000, interval: 1_000, count: 9 })
    const lost = countLost([pair])
    const hole = blackHole(pair.peer, { segments: 3 })
    await hole.done
    expect(tookFilter(pair)).toBe(false)
    expect(inspect(pair.socket).info!.probes).toBeGreaterThanOrEqual(3)
    await until(() => inspect(pair.socket).info!.probes === 0)
    expect(inspect(pair.socket).verdict).toBe('alive')
    expect(hole.swallowed).toBe(3)
    expectTruth(hole, lost())
  })

  it('drops the first SYN of a connection attempt', async () => {
    const server = net.createServer()
    const port = await listen(server)
    const hole = blackHole(handleOf(server)!.fd!, { segments: 1 })
    const start = performance.now()
    const socket = net.connect(port, '127.0.0.1')
    await hole.done
    expect(hole.swallowed).toBe(1)
    await once(socket, 'connect')
    // The second leaves after the first retransmission timeout, 1 s (RFC 6298).
    expect(performance.now() - start).toBeGreaterThan(990)
    socket.destroy()
    server.close()
  })

  it('counts the segments that it drops, and all data arrives in the end', async () => {
    const pair = await connectPair()
    const lost = countLost([pair])
    const hole = blackHole(pair.peer, { segments: 5 })
    pair.socket.setNoDelay()
    let chunks = 0
    const writing = setInterval(() => pair.socket.write(String(chunks++ % 10)), 20)
    await hole.done
    clearInterval(writing)
    expect(hole.swallowed).toBeGreaterThanOrEqual(5)
    expectTruth(hole, lost())
    let received = ''
    pair.peer.on('data', (part) => {
      received += part
    })
    pair.peer.resume()
    await until(() => received.length === chunks)
    expect(received).toBe(Array.from({ length: chunks }, (_, i) => i % 10).join(''))
    expectTruth(hole, lost())
  })

  it('drops more segments of a burst than requested, and counts all of them', async () => {
    const pair = await connectPair()
    const lost = countLost([pair])
    pair.socket.setNoDelay()
    const hole = blackHole(pair.peer, { segments: 1 })
    // No timer runs in between, and the first congestion window is ten segments.
    for (let i = 0; i < 5; i++) pair.socket.write('.')
    await hole.done
    expect(hole.swallowed).toBeGreaterThan(1)
    expectTruth(hole, lost())
  })

  it('ends when it is restored, and leaves no filter', async () => {
    const pair = await connectPair()
    const hole = blackHole(pair.peer, { segments: 1_000 })
    expect(await hears(pair)).toBe(false)
    hole.restore()
    expect(tookFilter(pair)).toBe(false)
    const { swallowed } = hole
    expect(swallowed).toBeGreaterThanOrEqual(1)
    await hole.done
    expect(await hears(pair)).toBe(true)
    hole.restore()
    hole[Symbol.dispose]()
    expect(hole.swallowed).toBe(swallowed)
  })

  it('ends when the socket is closed', async () => {
    const pair = await connectPair()
    const hole = blackHole(pair.peer, { segments: 1_000 })
    expect(await hears(pair)).toBe(false)
    const { swallowed } = hole
    pair.peer.resetAndDestroy()
    await hole.done
    hole.restore()
    expect(hole.swallowed).toBeGreaterThanOrEqual(swallowed)
  })

  it('rejects if its filter was removed, without an unhandled rejection', async () => {
    const waitedFor = await connectPair()
    const ignored = await connectPair()
    const [hole] = [waitedFor, ignored].map(({ peer }) => blackHole(peer, { segments: 1 }))
    for (const pair of [waitedFor, ignored]) {
      expect(await hears(pair)).toBe(false)
      expect(tookFilter(pair)).toBe(true)
    }
    await expect(hole!.done).rejects.toThrow(refusal('ENOENT', /refused the filter/))
  })

  it('does not keep the process running', async () => {
    const script = fileURLToPath(new URL('fixtures/hole-left-open.mjs', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [script], { timeout: 20_000 })
    expect(stdout).toBe('swallowed 0\n')
  })
})

describe('a black hole with bad options', () => {
  it.for<{ options: unknown; field: string; code: string; message: RegExp }>([
    {
      options: 3,
      field: 'options',
      code: 'ERR_INVALID_ARG_TYPE',
      message: /^The options of blackHole\(\) must be an object such as { segments: 3 }; got 3\.$/,
    },
    { options: null, field: 'options', code: 'ERR_INVALID_ARG_TYPE', message: /got null/ },
    { options: [3], field: 'options', code: 'ERR_INVALID_ARG_TYPE', message: /got an array/ },
    {
      options: { segment: 3 },
      field: 'segment',
      code: 'ERR_INVALID_ARG_TYPE',
      message: /^Unknown option `segment` of .* Did you mean `segments`\?$/,
    },
    {
      options: { segments: '3' },
      field: 'segments',
      code: 'ERR_INVALID_ARG_TYPE',
      message: /^segments must be .*; got '3', a string/,
    },
    {
      options: { segments: null },
      field: 'segments',
      code: 'ERR_INVALID_ARG_TYPE',
      message: /^segments must be .*; got null/,
    },
    {
      options: { segments: 0 },
      field: 'segments',
      code: 'ERR_OUT_OF_RANGE',
      message: /^segments must be a whole number from 1 to .*; got 0\./,
    },
    {
      options: { segments: -1 },
      field: 'segments',
      code: 'ERR_OUT_OF_RANGE',
      message: /^segments must be .*; got -1\./,
    },
    {
      options: { segments: 1.5 },
      field: 'segments',
      code: 'ERR_OUT_OF_RANGE',
      message: /^segments must be .*; got 1\.5\./,
    },
    {
      options: { segments: 2 ** 31 },
      field: 'segments',
      code: 'ERR_OUT_OF_RANGE',
      message: /^segments must be .*; got 2147483648\./,
    },
    {
      options: { segments: Number.NaN },
      field: 'segments',
      code: 'ERR_OUT_OF_RANGE',
      message: /^segments must be .*; got NaN\./,
    },
  ])('is refused and changes nothing: $options', async ({ options, field, code, message }) => {
    const pair = await connectPair()
    expect(() => blackHole(pair.peer, options as never)).toThrow(refusal(code, message, { field }))
    expect(tookFilter(pair)).toBe(false)
  })

  it.runIf(hasNetAdmin).for([{}, { segments: undefined }])(
    'has no limit without a number of segments: %o',
    async (options) => {
      const pair = await connectPair()
      const hole = blackHole(pair.peer, options)
      expect(await hears(pair)).toBe(false)
      expect(hole).not.toHaveProperty('done')
      hole.restore()
      expect(await hears(pair)).toBe(true)
    },
  )
})

import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { describe, expect, it } from 'vitest'
import { bracketOf, type Reuse } from '../../src/cli/commands/http/find-timeout.js'
import { deadpeer, type Run } from '../support/deadpeer-command.js'
import { hasHaproxy, hasNginx, startHaproxy, startNginx } from '../support/http-servers.js'

// `deadpeer http --find-timeout` against servers whose idle limit is known.

interface Found {
  readonly atLeast: number
  readonly atMost?: number
  readonly outcome?: string
  readonly announced?: number
  readonly findings: { severity: string; code: string }[]
}

async function find(port: number, upTo: string, ...args: string[]): Promise<{ run: Run; found: Found }> {
  const run = await deadpeer([
    'http',
    '--json',
    '--find-timeout',
    '--up-to',
    upTo,
    ...args,
    `http://127.0.0.1:${port}/`,
  ])
  expect(run.err).toEqual([])
  return { run, found: (JSON.parse(run.out.join('\n')) as { idleTimeout: Found }).idleTimeout }
}

async function serving(server: net.Server, use: (port: number) => Promise<void>): Promise<void> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    await use((server.address() as net.AddressInfo).port)
  } finally {
    server.close()
  }
}

function expectLimit({ atLeast, atMost }: Found, limit: number): void {
  expect(Math.abs(atMost! - limit)).toBeLessThan(1_000)
  expect(atMost! - atLeast).toBeLessThanOrEqual(1_000)
}

const answer = (head = '') => `HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n${head}\r\n`

/** Answers requests. Calls `late` instead of answering one on a connection that was idle for `limit` ms. */
function dropping(limit: number, late: (socket: net.Socket) => void): net.Server {
  return net.createServer((socket) => {
    let last = performance.now()
    socket.on('error', () => {})
    socket.on('data', () => {
      if (performance.now() - last > limit) late(socket)
      else socket.write(answer())
      last = performance.now()
    })
  })
}

describe.concurrent('the idle limit that --find-timeout finds', () => {
  it.runIf(hasNginx)('is that of nginx, beside what nginx announces', async () => {
    await using nginx = await startNginx('keepalive_timeout 2s 1s;', 'location / { return 200; }')
    const { run, found } = await find(nginx.port, '8s')
    expectLimit(found, 2_000)
    expect(found).toMatchObject({ outcome: 'closed', announced: 1_000, findings: [] })
    expect(run.code).toBe(0)
  })

  it.runIf(hasNginx)('is a warning if nginx announces a longer one', async () => {
    await using nginx = await startNginx('keepalive_timeout 2s 60s;', 'location / { return 200; }')
    const { run, found } = await find(nginx.port, '8s')
    expectLimit(found, 2_000)
    expect(found.findings).toMatchObject([{ severity: 'warning', code: 'closed-before-announced' }])
    expect(run.code).toBe(1)
  })

  it.runIf(hasHaproxy)('is that of HAProxy, which announces nothing', async () => {
    const origin = http.createServer((_, response) => response.writeHead(200, { Connection: 'close' }).end())
    await serving(origin, async (port) => {
      await using haproxy = await startHaproxy('timeout http-keep-alive 3s', port)
      const { found } = await find(haproxy.port, '10s')
      expectLimit(found, 3_000)
      expect(found).toMatchObject({
        outcome: 'closed',
        findings: [{ severity: 'note', code: 'not-announced' }],
      })
    })
  })

  it("is that of Node's own server, which announces it", async () => {
    const server = http.createServer({ keepAliveTimeout: 2_000 }, (_, response) => response.end())
    await serving(server, async (port) => {
      const { run, found } = await find(port, '8s')
      // Later versions of Node add up to 1 s.
      expect(found.atMost).toBeGreaterThan(1_500)
      expect(found.atMost).toBeLessThan(3_500)
      expect(found).toMatchObject({ outcome: 'closed', announced: 2_000, findings: [] })
      expect(run.code).toBe(0)
    })
  })

  it('is narrowed to 1 s if only a request on the connection shows it, by a reset', async () => {
    await serving(
      dropping(4_500, (socket) => socket.resetAndDestroy()),
      async (port) => {
        const { run, found } = await find(port, '12s')
        expectLimit(found, 4_500)
        expect(found.outcome).toBe('reset')
        expect(found.findings).toContainEqual(expect.objectContaining({ code: 'silent-limit' }))
        expect(run.code).toBe(1)
      },
    )
  })

  it('is narrowed to 1 s if a request on the connection gets no response', async () => {
    await serving(
      dropping(2_500, () => {}),
      async (port) => {
        const { found } = await find(port, '6s', '--timeout', '500ms')
        expectLimit(found, 2_500)
        expect(found.outcome).toBe('silent')
      },
    )
  })

  it('is none if every connection was kept for the longest time', async () => {
    const server = http.createServer({ keepAliveTimeout: 60_000 }, (_, response) => response.end())
    await serving(server, async (port) => {
      const { run, found } = await find(port, '2s')
      expect(found).toMatchObject({ atLeast: 2_000, announced: 60_000, findings: [] })
      expect(found).not.toHaveProperty('atMost')
      expect(run.code).toBe(0)
    })
  })

  it('is printed in words', async () => {
    const server = http.createServer({ keepAliveTimeout: 1_000 }, (_, response) => response.end())
    await serving(server, async (port) => {
      const run = await deadpeer(['http', '--find-timeout', '--up-to', '4s', `http://127.0.0.1:${port}/`])
      expect(run.out).toContainEqual(expect.stringMatching(/^ {2}limit \d\.\d s, closed in order \(FIN\)$/))
      expect(run.out).toContain('  announced Keep-Alive: timeout=1')
    })
  })

  it.for<{ what: string; args: string[]; code: number; words: RegExp }>([
    {
      what: '--up-to 0',
      args: ['--up-to', '0s', 'http://127.0.0.1:1/'],
      code: 2,
      words: /--up-to must be a time.*; got '0s'/,
    },
    {
      what: 'no server listens',
      args: ['http://127.0.0.1:1/'],
      code: 1,
      words: /does not respond: .*ECONNREFUSED/,
    },
    { what: 'no such name', args: ['http://nowhere.invalid/'], code: 1, words: /does not respond: / },
  ])('is refused in one line for bad input: $what', async ({ args, code, words }) => {
    expect(await deadpeer(['http', '--find-timeout', ...args])).toMatchObject({
      code,
      out: [],
      err: [expect.stringMatching(words)],
    })
  })

  it.for([
    {
      what: 'immediate reset',
      server: () => net.createServer((socket) => socket.resetAndDestroy()),
      words: /does not respond: /,
    },
    {
      what: 'closes after each response',
      server: () =>
        http.createServer((_, response) => response.writeHead(200, { Connection: 'close' }).end()),
      words: /^deadpeer: \S+ closes each connection after its response$/,
    },
  ])('does not exist, and one line says why: $what', async ({ server, words }) => {
    await serving(server(), async (port) => {
      const run = await deadpeer(['http', '--find-timeout', `http://127.0.0.1:${port}/`])
      expect(run).toMatchObject({ code: 1, out: [], err: [expect.stringMatching(words)] })
    })
  })
})

describe('the bracket of the limit', () => {
  const kept = (idle: number): Reuse => ({ idle, outcome: 'kept', unasked: false })
  const closed = (idle: number): Reuse => ({ idle, outcome: 'closed', unasked: true })
  const reset = (idle: number): Reuse => ({ idle, outcome: 'reset', unasked: false })

  it.each([
    { reuses: [], bracket: { atLeast: 0, atMost: undefined, outcome: undefined } },
    {
      reuses: [kept(1_000), kept(9_000)],
      bracket: { atLeast: 9_000, atMost: undefined, outcome: undefined },
    },
    {
      reuses: [kept(1_000), reset(9_000), reset(5_000)],
      bracket: { atLeast: 1_000, atMost: 5_000, outcome: 'reset' },
    },
    {
      reuses: [kept(1_000), closed(5_000), closed(5_010)],
      bracket: { atLeast: 4_000, atMost: 5_000, outcome: 'closed' },
    },
    { reuses: [kept(4_900), closed(5_000)], bracket: { atLeast: 4_900, atMost: 5_000, outcome: 'closed' } },
  ])('is $bracket', ({ reuses, bracket }) => {
    expect(bracketOf(reuses)).toEqual(bracket)
  })

  it('is refused if connections of different ages were closed, such as by a restart', () => {
    expect(() => bracketOf([closed(2_000), closed(6_000)])).toThrow(
      /idle for 2\.0 s to 6\.0 s\. .* restarted/,
    )
  })
})

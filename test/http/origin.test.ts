import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import { describe, expect, it } from 'vitest'
import { certificate } from '../support/certificate.js'
import { deadpeer, type Run } from '../support/deadpeer-command.js'
import {
  connectionsIn,
  curl,
  hasCurl,
  hasHaproxy,
  hasNginx,
  startHaproxy,
  startNginx,
} from '../support/http-servers.js'

// `deadpeer http` against servers that count for themselves, and beside what curl says of the same two requests.

interface Report {
  readonly runs: readonly {
    readonly asked: string
    readonly reused: boolean
    readonly tlsHandshakes: number
    readonly connections: readonly { readonly tls?: { readonly alpn: string; readonly handshake: number } }[]
    readonly requests: readonly {
      readonly httpVersion: string
      readonly reused: boolean
      readonly status: number
    }[]
    readonly findings: readonly { readonly code: string; readonly severity: string }[]
  }[]
}

function report(run: Run): Report['runs'] {
  expect(run.err).toEqual([])
  return (JSON.parse(run.out.join('\n')) as Report).runs
}

const counts = ({ connections, tlsHandshakes }: Report['runs'][number]) => ({
  connections: connections.length,
  handshakes: tlsHandshakes,
})

/** A server on loopback for the time of a test. */
async function serving<T>(server: net.Server, use: (port: number) => Promise<T>): Promise<T> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    return await use((server.address() as net.AddressInfo).port)
  } finally {
    server.close()
  }
}

describe.runIf(hasNginx && hasCurl).concurrent('nginx', () => {
  it.for<{
    what: string
    settings: string
    listen: string
    args: string[]
    expected: { protocol: string; connections: number; handshakes: number; code: number }
  }>([
    {
      what: 'keeps',
      settings: 'keepalive_timeout 60s 55s;',
      listen: '',
      args: [],
      expected: { protocol: '1.1', connections: 1, handshakes: 0, code: 0 },
    },
    {
      what: 'does not keep',
      settings: 'keepalive_timeout 0;',
      listen: '',
      args: [],
      expected: { protocol: '1.1', connections: 2, handshakes: 0, code: 1 },
    },
    {
      what: 'keeps, TLS',
      settings: '',
      listen: 'ssl',
      args: [],
      expected: { protocol: '1.1', connections: 1, handshakes: 1, code: 0 },
    },
    {
      what: 'does not keep, TLS',
      settings: 'keepalive_timeout 0;',
      listen: 'ssl',
      args: [],
      expected: { protocol: '1.1', connections: 2, handshakes: 2, code: 1 },
    },
    {
      what: 'keeps, HTTP/2',
      settings: '',
      listen: 'ssl http2',
      args: [],
      expected: { protocol: '2', connections: 1, handshakes: 1, code: 0 },
    },
    {
      what: 'keeps, HTTP/2 not offered',
      settings: '',
      listen: 'ssl http2',
      args: ['--http1.1'],
      expected: { protocol: '1.1', connections: 1, handshakes: 1, code: 0 },
    },
  ])('is reported as its log and curl show it: $what', async ({ settings, listen, args, expected }) => {
    await using nginx = await startNginx(settings, 'location / { return 200 "hello"; }', listen)
    const url = `${listen ? 'https' : 'http'}://127.0.0.1:${nginx.port}/`
    const run = await deadpeer(['http', '-k', '--json', ...args, url])
    const [only] = report(run)
    const { code, protocol, ...counted } = expected
    expect(run.code).toBe(code)
    expect(counts(only!)).toEqual(counted)
    expect(only!.requests.map(({ httpVersion }) => httpVersion)).toEqual([protocol, protocol])
    expect(only!.connections[0]!.tls?.alpn).toBe(listen ? (protocol === '2' ? 'h2' : 'http/1.1') : undefined)

    const logged = await nginx.requests(2)
    expect(connectionsIn(logged)).toBe(counted.connections)
    expect(logged[0]).toContain(`HTTP/${protocol === '2' ? '2.0' : protocol} 200`)
    expect(await curl(url, ...args)).toEqual({ ...counted, protocol })
  })

  it('is reported as keeping HTTP/1.0 connections if the request asks for it', async () => {
    await using nginx = await startNginx('', 'location / { return 200 "hello"; }')
    const url = `http://127.0.0.1:${nginx.port}/`
    const run = await deadpeer(['http', '--json', '--http1.0', url])
    const [plain, asking] = report(run)
    expect(run.code).toBe(0)
    expect(plain).toMatchObject({ asked: 'HTTP/1.0', reused: false })
    expect(asking).toMatchObject({ asked: 'HTTP/1.0 with Connection: keep-alive', reused: true })
    const logged = await nginx.requests(4)
    expect(logged.every((line) => line.includes('HTTP/1.0'))).toBe(true)
    expect([connectionsIn(logged.slice(0, 2)), connectionsIn(logged.slice(2))]).toEqual([
      plain!.connections.length,
      asking!.connections.length,
    ])
    expect((await curl(url, '--http1.0')).connections).toBe(plain!.connections.length)
    expect((await curl(url, '--http1.0', '-H', 'Connection: keep-alive')).connections).toBe(
      asking!.connections.length,
    )
  })

  it('is reported to close sooner than it promises, with --idle', async () => {
    await using nginx = await startNginx('keepalive_timeout 1s 20s;', 'location / { return 200; }')
    const run = await deadpeer(['http', '--json', '--idle', '2s', `http://127.0.0.1:${nginx.port}/`])
    const [only] = report(run)
    expect(run.code).toBe(1)
    expect(only!.findings).toEqual([
      {
        severity: 'warning',
        code: 'broken-promise',
        message:
          'The first answer promised Keep-Alive: timeout=20, and the connection was closed after 1 s without a request.',
      },
    ])
    expect(connectionsIn(await nginx.requests(2))).toBe(2)
  })
})

describe.runIf(hasHaproxy && hasCurl).concurrent('HAProxy in front of Node', () => {
  const origin = () => http.createServer((_, response) => response.end('hello'))

  it("is reported as forwarding Node's Keep-Alive header and closing at another time", async () => {
    await serving(origin(), async (port) => {
      await using haproxy = await startHaproxy('timeout http-keep-alive 1s', port)
      const url = `http://127.0.0.1:${haproxy.port}/`
      const run = await deadpeer(['http', '--json', url])
      const [only] = report(run)
      expect(run.code).toBe(1)
      expect(only!.findings.map(({ code }) => code)).toEqual(['hop-by-hop-passed-on'])
      const logged = await haproxy.requests(2)
      expect(connectionsIn(logged)).toBe(only!.connections.length)
      expect(only!.connections).toHaveLength(1)
      expect(await curl(url)).toEqual({ ...counts(only!), protocol: '1.1' })

      const later = report(await deadpeer(['http', '--json', '--idle', '2s', url]))
      expect(later[0]!.findings.map(({ code }) => code)).toEqual(['broken-promise', 'hop-by-hop-passed-on'])
    })
  })

  it('is reported to close after each answer', async () => {
    await serving(origin(), async (port) => {
      await using haproxy = await startHaproxy('option httpclose', port)
      const url = `http://127.0.0.1:${haproxy.port}/`
      const run = await deadpeer(['http', '--json', url])
      const [only] = report(run)
      expect(run.code).toBe(1)
      expect(only!.findings[0]).toMatchObject({ severity: 'warning' })
      expect(connectionsIn(await haproxy.requests(2))).toBe(2)
      expect(await curl(url)).toEqual({ ...counts(only!), protocol: '1.1' })
    })
  })
})

describe.runIf(hasCurl).concurrent("Node's own server", () => {
  // Without Content-Length, Node closes a connection of HTTP/1.0.
  const answer: http.RequestListener = (_, response) => response.setHeader('Content-Length', 5).end('hello')

  it.for<{ what: string; args: string[]; curled: string[]; expected: number[] }>([
    { what: 'HTTP/1.1', args: [], curled: [], expected: [1] },
    { what: 'HTTP/1.0', args: ['--http1.0'], curled: ['--http1.0'], expected: [2, 1] },
  ])('is reported as curl sees it: $what', async ({ args, curled, expected }) => {
    let connections = 0
    const versions = new Set<string>()
    const server = http.createServer(answer).on('connection', () => connections++)
    server.on('request', ({ httpVersion }) => versions.add(httpVersion))
    await serving(server, async (port) => {
      const url = `http://127.0.0.1:${port}/`
      const run = await deadpeer(['http', '--json', ...args, url])
      const runs = report(run)
      expect(run.code).toBe(0)
      expect(runs.map((each) => each.connections.length)).toEqual(expected)
      expect(connections).toBe(expected.reduce((sum, each) => sum + each))
      expect([...versions]).toEqual([args.length > 0 ? '1.0' : '1.1'])
      expect((await curl(url, ...curled)).connections).toBe(expected[0])
    })
  })

  it.for<{ what: string; args: string[]; protocol: string; alpn: string }>([
    { what: 'HTTP/2', args: [], protocol: '2', alpn: 'h2' },
    { what: 'HTTP/1.1 over TLS', args: ['--http1.1'], protocol: '1.1', alpn: 'http/1.1' },
  ])('is reported with its protocol and ALPN: $what', async ({ args, protocol, alpn }) => {
    let handshakes = 0
    const server = http2.createSecureServer({ ...certificate(), allowHTTP1: true }, (_, response) =>
      response.end('hello'),
    )
    server.on('secureConnection', () => handshakes++)
    await serving(server, async (port) => {
      const url = `https://127.0.0.1:${port}/`
      const run = await deadpeer(['http', '-k', '--json', ...args, url])
      const [only] = report(run)
      expect(run.code).toBe(0)
      expect(only!.requests.map(({ httpVersion, reused }) => [httpVersion, reused])).toEqual([
        [protocol, false],
        [protocol, true],
      ])
      expect(only!.connections.map(({ tls }) => tls!.alpn)).toEqual([alpn])
      expect(only!.connections[0]!.tls!.handshake).toBeGreaterThan(0)
      expect(handshakes).toBe(counts(only!).handshakes)
      expect(await curl(url, ...args)).toEqual({ ...counts(only!), protocol })
    })
  })
})

describe.concurrent('the headers of a server about its connections', () => {
  /** Answers each request with this head. With `dies` it resets the connection at the second request. */
  const saying = (head: string, dies = false) =>
    net.createServer((socket) => {
      let requests = 0
      socket.on('error', () => {})
      socket.on('data', () => {
        requests++
        if (dies && requests > 1) socket.resetAndDestroy()
        else socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 0\r\n${head}\r\n`)
        if (/close/.test(head)) socket.end()
      })
    })

  it.for<{ what: string; head: string; expected: string[] }>([
    {
      what: 'two Connection lines',
      head: 'Connection: keep-alive\r\nConnection: keep-alive\r\n',
      expected: ['repeated-header'],
    },
    { what: 'Keep-Alive alone', head: 'Keep-Alive: timeout=5\r\n', expected: ['hop-by-hop-passed-on'] },
    {
      what: 'both close and Keep-Alive',
      head: 'Connection: close\r\nKeep-Alive: timeout=5\r\n',
      expected: ['not-kept', 'contradiction'],
    },
    { what: 'close', head: 'Connection: close\r\n', expected: ['not-kept'] },
    { what: 'none of them', head: '', expected: [] },
    {
      what: 'a correct Keep-Alive',
      head: 'Connection: Keep-Alive\r\nKeep-Alive: timeout=5, max=100\r\n',
      expected: [],
    },
  ])('lead to the expected findings: $what', async ({ head, expected }) => {
    await serving(saying(head), async (port) => {
      const run = await deadpeer(['http', '--json', `http://127.0.0.1:${port}/`])
      expect(report(run)[0]!.findings.map(({ code }) => code)).toEqual(expected)
      expect(run.code).toBe(expected.length > 0 ? 1 : 0)
    })
  })

  it('do not hide the error of a connection that is reset on reuse, and the request uses another connection', async () => {
    await serving(saying('', true), async (port) => {
      const run = await deadpeer(['http', '--json', `http://127.0.0.1:${port}/`])
      const [only] = report(run)
      expect(run.code).toBe(1)
      expect(only!.findings.map(({ code, severity }) => [severity, code])).toEqual([
        ['error', 'connection-died'],
      ])
      expect(only!.connections).toHaveLength(2)
    })
  })

  it('are explained in words', async () => {
    await serving(saying('Connection: keep-alive\r\nKeep-Alive: timeout=5, max=100\r\n'), async (port) => {
      const run = await deadpeer(['http', `http://127.0.0.1:${port}/`])
      expect(run.out).toEqual([
        'HTTP/1.1',
        expect.stringMatching(/^ {2}connection 1 {2}127\.0\.0\.1:\d+, opened in \d+\.\d ms$/),
        expect.stringMatching(/^ {2}request 1 {5}200, HTTP\/1\.1, over connection 1, \d+\.\d ms$/),
        '    Connection: keep-alive',
        '    Keep-Alive: timeout=5, max=100',
        expect.stringMatching(/^ {2}request 2 {5}200, HTTP\/1\.1, over connection 1, reused, \d+\.\d ms$/),
        '    Connection: keep-alive',
        '    Keep-Alive: timeout=5, max=100',
        '  connections opened 1, TLS handshakes 0',
        '  reused; the server promises to keep it for 5 s, 100 more requests',
      ])
    })
  })
})

// One after the other, because they measure times.
describe('the time when a server closes a connection, compared with its headers', () => {
  /** Answers the first request with this head, and closes the connection after `ms`. */
  const closingAfter = (head: string, ms: number) => {
    let connections = 0
    return net.createServer((socket) => {
      const isFirst = ++connections === 1
      socket.on('error', () => {})
      socket.on('data', () => {
        const answer = `HTTP/1.1 200 OK\r\nContent-Length: 0\r\n${head}\r\n`
        if (isFirst && ms === 0) socket.end(answer)
        else socket.write(answer)
        if (isFirst && ms > 0) setTimeout(() => socket.end(), ms)
      })
    })
  }

  const keep = 'Connection: keep-alive\r\n'
  it.for<{
    title: string
    head: string
    ms: number
    idle: string
    severity: string
    code: string
    words: RegExp
  }>([
    {
      title: 'closed at the promised time',
      head: `${keep}Keep-Alive: timeout=1\r\n`,
      ms: 1_000,
      idle: '3s',
      severity: 'note',
      code: 'not-kept',
      words:
        /^The connection was closed after \d(\.\d)? s without a request, as the answer said \(Keep-Alive: timeout=1\)\.$/,
    },
    {
      title: 'closed up to a second sooner, because servers count whole seconds',
      head: `${keep}Keep-Alive: timeout=2\r\n`,
      ms: 1_300,
      idle: '3s',
      severity: 'note',
      code: 'not-kept',
      words: /as the answer said \(Keep-Alive: timeout=2\)/,
    },
    {
      title: 'closed long before the promised time',
      head: `${keep}Keep-Alive: timeout=5\r\n`,
      ms: 500,
      idle: '3s',
      severity: 'warning',
      code: 'broken-promise',
      words:
        /promised Keep-Alive: timeout=5, and the connection was closed after \d(\.\d)? s without a request\.$/,
    },
    {
      title: 'closed at once, although a second was promised',
      head: `${keep}Keep-Alive: timeout=1\r\n`,
      ms: 0,
      idle: '3s',
      severity: 'warning',
      code: 'broken-promise',
      words: /promised Keep-Alive: timeout=1, and the connection was closed\.$/,
    },
    {
      title: 'closed after the promised number of requests',
      head: `${keep}Keep-Alive: timeout=5, max=1\r\n`,
      ms: 0,
      idle: '3s',
      severity: 'warning',
      code: 'not-kept',
      words: /as the answer said \(Keep-Alive: max=1\)/,
    },
    {
      title: 'closed after a while, without a promised time',
      head: keep,
      ms: 500,
      idle: '3s',
      severity: 'warning',
      code: 'not-kept',
      words: /^The connection was not kept after \d(\.\d)? s without a request, and no time was promised\.$/,
    },
    {
      title: 'closed at once, although keep-alive was promised',
      head: keep,
      ms: 0,
      idle: '3s',
      severity: 'warning',
      code: 'broken-promise',
      words: /promised Connection: keep-alive, and the connection was closed\.$/,
    },
    {
      title: 'closed at once, with both close and keep-alive',
      head: 'Connection: keep-alive, close\r\n',
      ms: 0,
      idle: '3s',
      severity: 'warning',
      code: 'not-kept',
      words: /as the answer said \(Connection: close\)/,
    },
  ])('is judged: $title', async ({ head, ms, idle, severity, code, words }) => {
    await serving(closingAfter(head, ms), async (port) => {
      const run = await deadpeer(['http', '--json', '--idle', idle, `http://127.0.0.1:${port}/`])
      const [only] = report(run)
      expect(only!.findings).toEqual([{ severity, code, message: expect.stringMatching(words) }])
      expect(run.code).toBe(severity === 'note' ? 0 : 1)
    })
  })

  it('has no finding if it is later than promised, and deadpeer does not close the connection itself', async () => {
    await serving(closingAfter(`${keep}Keep-Alive: timeout=1\r\n`, 10_000), async (port) => {
      const run = await deadpeer(['http', '--json', '--idle', '2s', `http://127.0.0.1:${port}/`])
      expect(report(run)[0]).toMatchObject({ reused: true, findings: [] })
      expect(run.code).toBe(0)
    })
  })

  it("is after the keepAliveTimeout that Node's own server promises", async () => {
    const server = http.createServer({ keepAliveTimeout: 1_000 }, (_, response) => response.end())
    await serving(server, async (port) => {
      const run = await deadpeer(['http', '--json', '--idle', '3s', `http://127.0.0.1:${port}/`])
      expect(report(run)[0]!.findings).toEqual([
        expect.objectContaining({ severity: 'note', code: 'not-kept' }),
      ])
      expect(run.code).toBe(0)
    })
  })

  it('is an error if it is in the middle of a response', async () => {
    const server = net.createServer((socket) => {
      socket.on('error', () => {})
      socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello'))
    })
    await serving(server, async (port) => {
      const run = await deadpeer(['http', '--json', `http://127.0.0.1:${port}/`])
      expect(run).toMatchObject({
        code: 1,
        out: [],
        err: [expect.stringMatching(/127\.0\.0\.1:\d+ ended the connection in the middle of a response: /)],
      })
    })
  })

  it('is reported as orderly if the server ends an HTTP/2 session by GOAWAY', async () => {
    const server = http2.createSecureServer(certificate(), (_, response) => response.end('hello'))
    server.once('session', (session) => {
      session.once('stream', (stream) => stream.once('close', () => setTimeout(() => session.close(), 300)))
    })
    await serving(server, async (port) => {
      const run = await deadpeer(['http', '-k', '--json', '--idle', '3s', `https://127.0.0.1:${port}/`])
      const [only] = report(run)
      expect(only!.findings).toEqual([
        {
          severity: 'warning',
          code: 'not-kept',
          message: expect.stringMatching(
            /^The connection was not kept after \d(\.\d)? s without a request: the server ended it by GOAWAY, in good order\.$/,
          ),
        },
      ])
      expect(only!.connections).toHaveLength(2)
    })
  })
})

describe.concurrent('deadpeer http for a URL that cannot be requested', () => {
  it.for<{ what: string; args: string[]; code: number; words: RegExp }>([
    {
      what: 'no URL',
      args: ['example.org'],
      code: 2,
      words: /^deadpeer: <url> must be an http or https URL .*; got 'example\.org'$/,
    },
    {
      what: 'another protocol',
      args: ['ftp://example.org/'],
      code: 2,
      words: /^deadpeer: <url> must be .*; got 'ftp:\/\/example\.org\/'$/,
    },
    { what: 'none', args: [], code: 2, words: /<url> is missing; --help shows what this command takes$/ },
    {
      what: 'no server listens',
      args: ['http://127.0.0.1:1/'],
      code: 1,
      words: /^deadpeer: http:\/\/127\.0\.0\.1:1 does not respond: .*ECONNREFUSED/,
    },
    {
      what: 'no such name',
      args: ['http://nowhere.invalid/'],
      code: 1,
      words: /^deadpeer: http:\/\/nowhere\.invalid does not respond: /,
    },
    {
      what: 'a time without a unit',
      args: ['--idle', '3', 'http://127.0.0.1:1/'],
      code: 2,
      words: /must be a number with a unit/,
    },
  ])('says why in one line: $what', async ({ args, code, words }) => {
    const run = await deadpeer(['http', ...args])
    expect(run).toMatchObject({ code, out: [], err: [expect.stringMatching(words)] })
  })

  it('says in one line that the server accepts and does not answer', async () => {
    await serving(net.createServer(), async (port) => {
      for (const url of [`http://127.0.0.1:${port}/`, `https://127.0.0.1:${port}/`]) {
        const run = await deadpeer(['http', '--timeout', '300ms', url])
        expect(run).toMatchObject({
          code: 1,
          out: [],
          err: [expect.stringMatching(/does not respond: no response within 300 ms$/)],
        })
      }
    })
  })

  it('says in one line that the server speaks another protocol', async () => {
    await serving(
      net.createServer((socket) => socket.on('error', () => {}).end('SSH-2.0-OpenSSH\r\n')),
      async (port) => {
        for (const url of [`http://127.0.0.1:${port}/`, `https://127.0.0.1:${port}/`]) {
          const run = await deadpeer(['http', url])
          expect(run).toMatchObject({
            code: 1,
            out: [],
            err: [expect.stringContaining('does not respond: ')],
          })
        }
      },
    )
  })

  it('says in one line that the certificate is not trusted', async () => {
    await serving(https.createServer(certificate()), async (port) => {
      const run = await deadpeer(['http', `https://127.0.0.1:${port}/`])
      expect(run).toMatchObject({ code: 1, out: [], err: [expect.stringMatching(/self-signed certificate/)] })
    })
  })
})

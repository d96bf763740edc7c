import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import { describe, expect, it } from 'vitest'
import { deadpeer, type Run } from '../cli/deadpeer.js'
import { certificate } from '../loopback/certificate.js'
import { connectionsIn, curl, hasCurl, hasHaproxy, hasNginx, startHaproxy, startNginx } from './processes.js'

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
  it.for<
    [
      string,
      string,
      string,
      string[],
      { protocol: string; connections: number; handshakes: number; code: number },
    ]
  >([
    [
      'keeps',
      'keepalive_timeout 60s 55s;',
      '',
      [],
      { protocol: '1.1', connections: 1, handshakes: 0, code: 0 },
    ],
    [
      'does not keep',
      'keepalive_timeout 0;',
      '',
      [],
      { protocol: '1.1', connections: 2, handshakes: 0, code: 1 },
    ],
    ['keeps, TLS', '', 'ssl', [], { protocol: '1.1', connections: 1, handshakes: 1, code: 0 }],
    [
      'does not keep, TLS',
      'keepalive_timeout 0;',
      'ssl',
      [],
      { protocol: '1.1', connections: 2, handshakes: 2, code: 1 },
    ],
    ['keeps, HTTP/2', '', 'ssl http2', [], { protocol: '2', connections: 1, handshakes: 1, code: 0 }],
    [
      'keeps, HTTP/2 not offered',
      '',
      'ssl http2',
      ['--http1.1'],
      { protocol: '1.1', connections: 1, handshakes: 1, code: 0 },
    ],
  ])('%s: as its log has it, and curl', async ([, settings, listen, args, expected]) => {
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

  it('HTTP/1.0 is kept where that was asked for', async () => {
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

  it('that promises more than it keeps is found out, given the time', async () => {
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

  it('passes on what Node promises, and does otherwise', async () => {
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

  it('that closes after each answer', async () => {
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
  // Without a length it cannot keep a connection of HTTP/1.0.
  const answer: http.RequestListener = (_, response) => response.setHeader('Content-Length', 5).end('hello')

  it.for<[string, string[], string[], number[]]>([
    ['HTTP/1.1', [], [], [1]],
    ['HTTP/1.0', ['--http1.0'], ['--http1.0'], [2, 1]],
  ])('%s', async ([, args, curled, expected]) => {
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

  it.for<[string, string[], string, string]>([
    ['HTTP/2', [], '2', 'h2'],
    ['HTTP/1.1 over TLS', ['--http1.1'], '1.1', 'http/1.1'],
  ])('%s', async ([, args, protocol, alpn]) => {
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

describe.concurrent('what a server says of its connections', () => {
  /** Answers each request so, until told to die. */
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

  it.for<[string, string, string[]]>([
    ['two Connection lines', 'Connection: keep-alive\r\nConnection: keep-alive\r\n', ['repeated-header']],
    ['Keep-Alive alone', 'Keep-Alive: timeout=5\r\n', ['hop-by-hop-passed-on']],
    [
      'both close and Keep-Alive',
      'Connection: close\r\nKeep-Alive: timeout=5\r\n',
      ['not-kept', 'contradiction'],
    ],
    ['close', 'Connection: close\r\n', ['not-kept']],
    ['nothing', '', []],
    ['Keep-Alive as it should be', 'Connection: Keep-Alive\r\nKeep-Alive: timeout=5, max=100\r\n', []],
  ])('%s', async ([, head, expected]) => {
    await serving(saying(head), async (port) => {
      const run = await deadpeer(['http', '--json', `http://127.0.0.1:${port}/`])
      expect(report(run)[0]!.findings.map(({ code }) => code)).toEqual(expected)
      expect(run.code).toBe(expected.length > 0 ? 1 : 0)
    })
  })

  it('a connection that dies as it is used again is an error, and the request goes over another', async () => {
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

  it('in words', async () => {
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
        '  reused; the server promises to keep it for 5 s, 100 requests more',
      ])
    })
  })
})

// One after the other: they are about time.
describe('when a server closes a connection, beside what it said', () => {
  /** Answers the first request with this head, and closes after so many ms. */
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
  it.for<
    [title: string, head: string, ms: number, idle: string, severity: string, code: string, words: RegExp]
  >([
    [
      'closed when it had said that it would',
      `${keep}Keep-Alive: timeout=1\r\n`,
      1_000,
      '3s',
      'note',
      'not-kept',
      /^The connection was closed after \d(\.\d)? s without a request, as the answer said \(Keep-Alive: timeout=1\)\.$/,
    ],
    [
      'closed up to a second sooner: servers count in whole seconds',
      `${keep}Keep-Alive: timeout=2\r\n`,
      1_300,
      '3s',
      'note',
      'not-kept',
      /as the answer said \(Keep-Alive: timeout=2\)/,
    ],
    [
      'closed long before that',
      `${keep}Keep-Alive: timeout=5\r\n`,
      500,
      '3s',
      'warning',
      'broken-promise',
      /promised Keep-Alive: timeout=5, and the connection was closed after \d(\.\d)? s without a request\.$/,
    ],
    [
      'closed at once, though it had said for a second',
      `${keep}Keep-Alive: timeout=1\r\n`,
      0,
      '3s',
      'warning',
      'broken-promise',
      /promised Keep-Alive: timeout=1, and the connection was closed\.$/,
    ],
    [
      'as many requests as it had said',
      `${keep}Keep-Alive: timeout=5, max=1\r\n`,
      0,
      '3s',
      'warning',
      'not-kept',
      /as the answer said \(Keep-Alive: max=1\)/,
    ],
    [
      'no time promised, and closed after a while',
      keep,
      500,
      '3s',
      'warning',
      'not-kept',
      /^The connection was not kept after \d(\.\d)? s without a request, and no time was promised\.$/,
    ],
    [
      'keep-alive promised, and closed at once',
      keep,
      0,
      '3s',
      'warning',
      'broken-promise',
      /promised Connection: keep-alive, and the connection was closed\.$/,
    ],
    [
      'close counts before all else that is said',
      'Connection: keep-alive, close\r\n',
      0,
      '3s',
      'warning',
      'not-kept',
      /as the answer said \(Connection: close\)/,
    ],
  ])('%s', async ([, head, ms, idle, severity, code, words]) => {
    await serving(closingAfter(head, ms), async (port) => {
      const run = await deadpeer(['http', '--json', '--idle', idle, `http://127.0.0.1:${port}/`])
      const [only] = report(run)
      expect(only!.findings).toEqual([{ severity, code, message: expect.stringMatching(words) }])
      expect(run.code).toBe(severity === 'note' ? 0 : 1)
    })
  })

  it('is kept for longer than it says: nothing is wrong, and we close nothing by ourselves', async () => {
    await serving(closingAfter(`${keep}Keep-Alive: timeout=1\r\n`, 10_000), async (port) => {
      const run = await deadpeer(['http', '--json', '--idle', '2s', `http://127.0.0.1:${port}/`])
      expect(report(run)[0]).toMatchObject({ reused: true, findings: [] })
      expect(run.code).toBe(0)
    })
  })

  it("is closed by Node's own server after its keepAliveTimeout, as it said", async () => {
    const server = http.createServer({ keepAliveTimeout: 1_000 }, (_, response) => response.end())
    await serving(server, async (port) => {
      const run = await deadpeer(['http', '--json', '--idle', '3s', `http://127.0.0.1:${port}/`])
      expect(report(run)[0]!.findings).toEqual([
        expect.objectContaining({ severity: 'note', code: 'not-kept' }),
      ])
      expect(run.code).toBe(0)
    })
  })

  it('an answer that breaks off is told as that', async () => {
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

  it('HTTP/2: a session that the server ends by GOAWAY has ended in good order', async () => {
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

describe.concurrent('an URL that cannot be asked: one line', () => {
  it.for<[string, string[], number, RegExp]>([
    ['no URL', ['example.org'], 2, /^deadpeer: <url> must be an http or https URL .*; got 'example\.org'$/],
    [
      'another protocol',
      ['ftp://example.org/'],
      2,
      /^deadpeer: <url> must be .*; got 'ftp:\/\/example\.org\/'$/,
    ],
    ['none', [], 2, /<url> is missing; --help shows what this command takes$/],
    [
      'nobody listens',
      ['http://127.0.0.1:1/'],
      1,
      /^deadpeer: http:\/\/127\.0\.0\.1:1 does not respond: .*ECONNREFUSED/,
    ],
    [
      'no such name',
      ['http://nowhere.invalid/'],
      1,
      /^deadpeer: http:\/\/nowhere\.invalid does not respond: /,
    ],
    ['a time without a unit', ['--idle', '3', 'http://127.0.0.1:1/'], 2, /must be a number with a unit/],
  ])('%s', async ([, args, code, words]) => {
    const run = await deadpeer(['http', ...args])
    expect(run).toMatchObject({ code, out: [], err: [expect.stringMatching(words)] })
  })

  it('that accepts and says nothing', async () => {
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

  it('that speaks another language', async () => {
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

  it('whose certificate nobody knows', async () => {
    await serving(https.createServer(certificate()), async (port) => {
      const run = await deadpeer(['http', `https://127.0.0.1:${port}/`])
      expect(run).toMatchObject({ code: 1, out: [], err: [expect.stringMatching(/self-signed certificate/)] })
    })
  })
})

import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { describe, expect, it } from 'vitest'
import { blindProxy } from '../support/blind-proxy.js'
import { deadpeer, type Run } from '../support/deadpeer-command.js'
import { hasHaproxy, hasNginx, startHaproxy, startNginx } from '../support/http-servers.js'
import { until } from '../support/until.js'

// `deadpeer http --serve` behind a proxy, and `deadpeer http` in front of it.

interface Report {
  readonly version: string
  readonly isDirect: boolean
  readonly originVersion: string
  readonly passedOn: string[]
  readonly passedBack: string[]
  readonly second: string
  readonly isOriginKept: boolean
  readonly findings: { severity: string; code: string; message: string; change: string }[]
}

/** Runs `deadpeer http --serve` while `use` runs. Returns what it has printed. */
async function withOrigin(use: (port: number) => Promise<void>): Promise<Run> {
  let failure: { readonly error: unknown } | undefined
  const run = await deadpeer(['http', '--serve', '0', '--json'], {
    async interruptWhen(out) {
      try {
        await until(() => out().length > 0)
        await use((JSON.parse(out()[0]!) as { listening: number }).listening)
      } catch (error) {
        failure = { error }
      }
    },
  })
  if (failure) throw failure.error
  return run
}

async function examine(...args: string[]): Promise<{ run: Run; proxy: Report[] }> {
  const run = await deadpeer(['http', '--json', '--timeout', '2s', ...args])
  expect(run.err).toEqual([])
  return { run, proxy: (JSON.parse(run.out.join('\n')) as { proxy: Report[] }).proxy }
}

const codes = ({ findings }: Report) => findings.map(({ severity, code }) => `${severity} ${code}`)

describe.concurrent('deadpeer http with deadpeer http --serve as the origin', () => {
  it('finds no proxy and nothing wrong if there is none, and --serve reports each request', async () => {
    const served = await withOrigin(async (port) => {
      const { run, proxy } = await examine(`http://127.0.0.1:${port}/`)
      expect(run.code).toBe(0)
      expect(proxy).toMatchObject(
        ['1.0', '1.1'].map((version) => ({
          version,
          isDirect: true,
          originVersion: version,
          second: 'answered',
          isOriginKept: true,
          findings: [],
        })),
      )
    })
    expect(served.code).toBe(130)
    const requests = served.out.slice(1).map((line) => JSON.parse(line))
    expect(requests).toContainEqual(
      expect.objectContaining({
        request: 1,
        httpVersion: '1.0',
        headers: {
          connection: 'keep-alive, Deadpeer-Hop',
          'keep-alive': 'timeout=61',
          'proxy-connection': 'keep-alive',
          'deadpeer-hop': '1',
        },
      }),
    )
  })

  it('finds a blind proxy: it passes everything on, and a client that believes the response hangs', async () => {
    await withOrigin(async (port) => {
      const server = blindProxy(port).listen(0, '127.0.0.1')
      await once(server, 'listening')
      const url = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`
      for (const args of [[`${url}/`], ['--proxy', url, `http://127.0.0.1:${port}/`]]) {
        const { run, proxy } = await examine(...args)
        expect(run.code).toBe(1)
        for (const each of proxy) {
          expect(each).toMatchObject({
            isDirect: false,
            passedOn: ['Connection', 'Keep-Alive', 'Proxy-Connection', 'TE', 'Upgrade', 'Deadpeer-Hop'],
            passedBack: ['Connection', 'Keep-Alive', 'Deadpeer-Hop'],
            second: 'no-response',
            isOriginKept: false,
          })
          expect(codes(each).slice(0, 2)).toEqual(['error client-hangs', 'error connection-passed-on'])
          expect(each.findings[0]!.change).toMatch(/Until then, clients must send Connection: close\.$/)
        }
      }
      server.close()
    })
  })

  it.runIf(hasNginx)(
    'finds that nginx as installed passes nothing harmful on, and opens a connection for each request',
    async () => {
      await withOrigin(async (port) => {
        await using nginx = await startNginx('', `location / { proxy_pass http://127.0.0.1:${port}; }`)
        const { run, proxy } = await examine(`http://127.0.0.1:${nginx.port}/`)
        expect(run.code).toBe(1)
        for (const each of proxy) {
          expect(each).toMatchObject({
            isDirect: false,
            passedOn: ['Proxy-Connection', 'Deadpeer-Hop'],
            second: 'answered',
            isOriginKept: false,
          })
          expect(each.passedBack).not.toContain('Keep-Alive')
          expect(codes(each).filter((code) => !code.startsWith('note'))).toEqual(['warning origin-not-kept'])
        }
      })
    },
  )

  it.runIf(hasNginx)('finds nothing to warn of once nginx is changed as the finding says', async () => {
    await withOrigin(async (port) => {
      await using nginx = await startNginx(
        `upstream origin { server 127.0.0.1:${port}; keepalive 4; }`,
        'location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Proxy-Connection ""; }',
      )
      const { run, proxy } = await examine(`http://127.0.0.1:${nginx.port}/`)
      expect(run.code).toBe(0)
      for (const each of proxy) {
        expect(each).toMatchObject({ passedOn: ['Deadpeer-Hop'], second: 'answered', isOriginKept: true })
      }
    })
  })

  it.runIf(hasHaproxy)(
    "finds that HAProxy keeps both sides open, and passes the origin's Keep-Alive back",
    async () => {
      await withOrigin(async (port) => {
        await using haproxy = await startHaproxy('', port)
        const { run, proxy } = await examine(`http://127.0.0.1:${haproxy.port}/`)
        expect(run.code).toBe(1)
        for (const each of proxy) {
          expect(each).toMatchObject({ isDirect: false, second: 'answered', isOriginKept: true })
          expect(each.passedOn).not.toContain('Connection')
          expect(each.passedOn).toContain('Keep-Alive')
          expect(codes(each).filter((code) => !code.startsWith('note'))).toEqual([
            'warning origin-timeout-passed-back',
          ])
        }
      })
    },
  )

  it('says in words what the proxy does and what to change, each finding once', async () => {
    await withOrigin(async (port) => {
      const server = blindProxy(port).listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port: proxy } = server.address() as net.AddressInfo
      const run = await deadpeer(['http', '--timeout', '500ms', `http://127.0.0.1:${proxy}/`])
      server.close()
      expect(run.out).toContain('  client side  open, but a second request on the connection got no response')
      expect(run.out.filter((line) => line.startsWith('error: The proxy passes'))).toHaveLength(1)
    })
  })
})

describe.concurrent('--proxy and --serve', () => {
  it('send the usual two requests through a proxy if the origin is another server', async () => {
    const targets: string[] = []
    const server = http.createServer((request, response) => {
      targets.push(request.url!)
      response.end()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const proxy = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`
    const run = await deadpeer(['http', '--json', '--proxy', proxy, 'http://origin.invalid/path?x=1'])
    server.close()
    expect(targets).toEqual(['http://origin.invalid/path?x=1', 'http://origin.invalid/path?x=1'])
    expect(JSON.parse(run.out.join('\n'))).toMatchObject({ runs: [{ reused: true }] })
  })

  it.for<{ what: string; args: string[]; words: RegExp }>([
    {
      what: 'https',
      args: ['--proxy', 'http://127.0.0.1:1', 'https://a.invalid/'],
      words: /^deadpeer: --proxy needs an http URL/,
    },
    {
      what: 'no URL of a proxy',
      args: ['--proxy', 'proxy', 'http://a.invalid/'],
      words: /--proxy must be the http URL of a proxy.*; got 'proxy'/,
    },
    {
      what: 'a port that is none',
      args: ['--serve', '70000'],
      words: /--serve must be a whole number.*; got '70000'/,
    },
    {
      what: 'a URL to serve',
      args: ['--serve', '0', 'http://a.invalid/'],
      words: /--serve takes no <url>; got/,
    },
  ])('refuse bad input in one line: $what', async ({ args, words }) => {
    expect(await deadpeer(['http', ...args])).toMatchObject({
      code: 2,
      out: [],
      err: [expect.stringMatching(words)],
    })
  })

  it('say in one line that the port is in use', async () => {
    const server = net.createServer().listen(0)
    await once(server, 'listening')
    const { port } = server.address() as net.AddressInfo
    const run = await deadpeer(['http', '--serve', String(port)])
    server.close()
    expect(run).toMatchObject({
      code: 2,
      out: [],
      err: [expect.stringMatching(/cannot listen on port \d+: .*EADDRINUSE/)],
    })
  })
})

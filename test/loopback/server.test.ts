import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { PassThrough } from 'node:stream'
import tls from 'node:tls'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { inspect, type Profile, profiles, tune } from '../../src/index.js'
import { certificate } from '../support/certificate.js'
import { listen } from '../support/connections.js'
import { hasRtoMax } from '../support/kernel-version.js'

const everyOption: Profile = {
  ...profiles.lan,
  synCount: 3,
  failOnIcmp: true,
  ...(hasRtoMax && { rtoMax: 5_000 }),
}

/** What the kernel has for a connection as the server accepts it. */
async function acceptedProfile(server: net.Server, port: number, host = '127.0.0.1'): Promise<Profile> {
  const accepting = once(server, 'connection') as Promise<[net.Socket]>
  const client = net.connect(port, host)
  client.on('error', () => {})
  const [peer] = await accepting
  peer.on('error', () => {})
  const { profile } = inspect(peer)
  client.destroy()
  peer.destroy()
  return profile
}

describe('a tuned server', () => {
  it.each([
    { host: '127.0.0.1', from: '127.0.0.1' },
    { host: '::1', from: '::1' },
    { host: '::', from: '127.0.0.1' },
  ])('passes every option on to what it accepts from $from on $host', async ({ host, from }) => {
    const server = net.createServer()
    const port = await listen(server, host)
    onTestFinished(() => void server.close())
    tune(server, everyOption)
    expect(await acceptedProfile(server, port, from)).toMatchObject(everyOption)
    expect(server.listenerCount('connection')).toBe(0)
  })

  it('can be tuned before listen(), and keeps its options when it listens again', async () => {
    const server = net.createServer()
    tune(server, 'lan')
    for (let i = 0; i < 2; i++) {
      const port = await listen(server)
      expect(await acceptedProfile(server, port)).toMatchObject(profiles.lan)
      await new Promise((resolve) => server.close(resolve))
    }
  })

  it('combines several tunes, even if it listens again later', async () => {
    const server = net.createServer()
    tune(server, 'lan')
    tune(server, { interval: 2_000 })
    const port = await listen(server)
    onTestFinished(() => void server.close())
    tune(server, { synCount: 5 })
    const expected = { ...profiles.lan, interval: 2_000, synCount: 5 }
    expect(await acceptedProfile(server, port)).toMatchObject(expected)
    await new Promise((resolve) => server.close(resolve))
    expect(await acceptedProfile(server, await listen(server))).toMatchObject(expected)
    expect(server.listenerCount('listening')).toBe(1)
  })

  it('can be an HTTP server, or a TLS server, whose raw connections are tuned', async () => {
    for (const server of [http.createServer(), tls.createServer(certificate())]) {
      tune(server, 'cloud')
      const port = await listen(server)
      onTestFinished(() => void server.close())
      expect(await acceptedProfile(server, port)).toMatchObject(profiles.cloud)
    }
  })

  it("tunes each connection if Node's keepAlive: true would overwrite the inherited options", async () => {
    const options = { keepAlive: true, keepAliveInitialDelay: 5_000 }
    for (const server of [net.createServer(options), http.createServer(options)]) {
      const port = await listen(server)
      onTestFinished(() => void server.close())
      expect(await acceptedProfile(server, port)).toMatchObject({ interval: 1_000, count: 10 })
      tune(server, everyOption)
      expect(await acceptedProfile(server, port)).toMatchObject(everyOption)
    }
  })

  it('is refused on a Unix socket, at once or by its error event', async () => {
    const path = '\0deadpeer-server-test'
    const server = net.createServer()
    tune(server, 'lan')
    server.listen(path)
    const [error] = await once(server, 'error')
    expect(error).toMatchObject({
      code: 'ERR_NOT_TCP',
      message:
        'The server listens on the UNIX socket "\\u0000deadpeer-server-test": it accepts no TCP connections.',
    })
    expect(() => tune(server, 'lan')).toThrow(expect.objectContaining({ code: 'ERR_NOT_TCP' }))
    server.close()
  })

  it('refuses a bad profile before it listens', () => {
    expect(() => tune(net.createServer(), { interval: 1 })).toThrow(RangeError)
  })

  it('tunes connections that already wait to be accepted, and none once the options are inherited', async () => {
    const server = net.createServer()
    const port = await listen(server)
    onTestFinished(() => void server.close())
    // Handshakes are the kernel's: while this thread is held up, the client below connects and waits in the queue.
    const client = spawn(process.execPath, ['-e', `require('net').connect(${port}, '127.0.0.1')`])
    execFileSync('sh', [
      '-c',
      'for i in $(seq 100); do ss -tln "sport = :$1" | grep -q "LISTEN *1 " && exit 0; sleep 0.05; done; exit 1',
      'sh',
      String(port),
    ])
    tune(server, 'lan')
    const [queued] = (await once(server, 'connection')) as [net.Socket]
    queued.on('error', () => {})
    expect(inspect(queued).profile).toMatchObject(profiles.lan)
    expect(server.listenerCount('connection')).toBe(1)
    expect(await acceptedProfile(server, port)).toMatchObject(profiles.lan)
    expect(server.listenerCount('connection')).toBe(0)
    queued.destroy()
    client.kill()
  })
})

/** Clients try to connect while the server starts, which stays busy in that turn of the event loop. */
describe('a tuned server that restarts while its clients try to connect', () => {
  it.each([
    'any',
    'exclusive',
    'address',
    'localhost',
    'queued',
    'cluster rr',
    'cluster none',
    'cluster exclusive',
  ])('tunes every connection that it accepts (%s)', (way) => {
    const script = fileURLToPath(new URL('fixtures/restarting-server.mjs', import.meta.url))
    const output = execFileSync(process.execPath, [script, way, '100', '1', '0', '100'], { encoding: 'utf8' })
    expect(JSON.parse(output)).toEqual([
      { busy: 0, accepted: 100, missed: 0 },
      { busy: 100, accepted: 100, missed: 0 },
    ])
  })
})

describe('a stream passed to a tuned server by the program', () => {
  const pass = (server: net.Server) => {
    const stream = new PassThrough()
    server.emit('connection', stream)
    expect(stream.destroyed).toBe(false)
    stream.destroy()
  }

  it('is left alone', async () => {
    const server = net.createServer()
    tune(server, 'lan')
    await listen(server)
    onTestFinished(() => void server.close())
    pass(server)
  })

  it('is left alone if the server is tuned per connection', async () => {
    const server = net.createServer({ keepAlive: true })
    tune(server, 'lan')
    const port = await listen(server)
    onTestFinished(() => void server.close())
    await acceptedProfile(server, port)
    pass(server)
  })
})

describe('a cluster worker, whose listening descriptor is the primary’s', () => {
  it.each(['rr', 'none'])('is tuned per connection (schedulingPolicy %s)', (policy) => {
    const script = fileURLToPath(new URL('fixtures/cluster.mjs', import.meta.url))
    const output = execFileSync(process.execPath, [script], {
      encoding: 'utf8',
      env: { ...process.env, NODE_CLUSTER_SCHED_POLICY: policy },
    })
    const { inWorker, inPrimary } = JSON.parse(output)
    expect(inWorker).toMatchObject(profiles.lan)
    expect(inPrimary).toMatchObject({ enable: false })
  })
})

const strace = spawnSync('strace', ['-V']).status === 0

describe('tuning a server', () => {
  it.skipIf(!strace)(
    `costs no system call per connection${strace ? '' : ' (skipped: strace is not installed)'}`,
    () => {
      const calls = (mode: string, connections: number) => {
        const script = fileURLToPath(new URL('fixtures/accept.mjs', import.meta.url))
        const { stderr, status } = spawnSync(
          'strace',
          [
            '-f',
            '-qq',
            '-e',
            'trace=setsockopt,getsockopt',
            process.execPath,
            script,
            mode,
            String(connections),
          ],
          { encoding: 'utf8', maxBuffer: 2 ** 26 },
        )
        expect(status).toBe(0)
        return stderr.split('\n').filter((line) => /[gs]etsockopt\(/.test(line)).length
      }
      const perConnection = (mode: string) => calls(mode, 60) - calls(mode, 10)
      expect(perConnection('tuned')).toBe(perConnection('untuned'))
      // The count would see it: a server tuned per connection has calls for each.
      expect(perConnection('each')).toBeGreaterThanOrEqual(perConnection('untuned') + 50 * 5)
    },
  )
})

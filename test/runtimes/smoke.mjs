// Uses each main function of the package once, in the runtime that runs this:
//   node test/runtimes/smoke.mjs
// Prints a line for each, and the count at the end.
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { capabilities, inspect, probe, profiles, tune, tuneAll, watch } from 'deadpeer'
import { listSockets } from 'deadpeer/host'
import { HttpAgent } from 'deadpeer/http'
import { blackHole } from 'deadpeer/testing'

const isBun = process.versions.bun !== undefined

const checks = {
  async 'the native core loads'() {
    assert.deepEqual(capabilities().reason, undefined)
  },

  async 'tune sets the options, and inspect reads them back'() {
    const { socket } = await connect()
    tune(socket, 'cloud')
    const { profile, info, verdict } = inspect(socket)
    assert.deepEqual([profile.initialDelay, profile.interval, profile.count], [30_000, 10_000, 3])
    assert.equal(verdict, 'alive')
    assert.ok(info.segsIn > 0)
  },

  async 'tune works on a connecting socket'() {
    const server = await listen(net.createServer((peer) => peer.resume()))
    const socket = net.connect(server.address().port, '127.0.0.1')
    cleanup(() => socket.destroy())
    tune(socket, { interval: 3_000 })
    await once(socket, 'connect')
    assert.equal(inspect(socket).profile.interval, 3_000)
  },

  async 'accepted connections inherit the options of a tuned server'() {
    const { peer } = await connect((server) => tune(server, { initialDelay: 7_000 }))
    assert.equal(inspect(peer).profile.initialDelay, 7_000)
  },

  async 'tuneAll tunes several sockets'() {
    const { socket, peer } = await connect()
    const results = await tuneAll([socket, peer], { count: 4 })
    assert.deepEqual(
      results.map(({ error }) => error),
      [undefined, undefined],
    )
    assert.deepEqual([inspect(socket).profile.count, inspect(peer).profile.count], [4, 4])
  },

  async 'probe distinguishes a live peer from a dead one'() {
    const { socket, peer } = await connect()
    // A connection that was heard within the last second is not probed.
    await delay(1_100)
    const there = await probe(socket)
    assert.deepEqual([there.alive, there.evidence], [true, 'ack'])
    blackHole(peer)
    await delay(1_100)
    const gone = await probe(socket)
    assert.deepEqual([gone.alive, gone.evidence], [false, 'silence'])
  },

  async 'watch reports why the kernel ended a connection'() {
    const { socket, peer } = await connect()
    tune(socket, { initialDelay: 1_000, interval: 1_000, count: 1 })
    const watcher = watch().add(socket)
    cleanup(() => watcher.close())
    const failed = new Promise((resolve) => socket.on('error', resolve))
    blackHole(peer)
    const [death] = await once(watcher, 'dead')
    assert.equal(death.reason, 'keepalive')
    assert.equal((await failed).code, 'ETIMEDOUT')
  },

  async 'watch reports a death on a paused socket'() {
    const { socket, peer } = await connect()
    peer.write(Buffer.alloc(1_000_000))
    socket.pause()
    await delay(200)
    tune(socket, { initialDelay: 1_000, interval: 1_000, count: 1 })
    const watcher = watch().add(socket)
    cleanup(() => watcher.close())
    blackHole(peer)
    const [death] = await once(watcher, 'dead')
    assert.match(death.reason, /keepalive|retransmission|user-timeout/)
  },

  async 'a heartbeat detects a dead peer'() {
    const { socket, peer } = await connect()
    const watcher = watch({ heartbeat: { every: 1_000, attempts: 2 } }).add(socket)
    cleanup(() => watcher.close())
    blackHole(peer)
    const [death] = await once(watcher, 'dead')
    assert.equal(death.reason, 'heartbeat')
  },

  async 'tune works on TLS sockets, connecting and accepted'() {
    const server = tls.createServer(certificate())
    tune(server, { interval: 5_000 })
    await listen(server)
    const accepted = once(server, 'secureConnection')
    const socket = tls.connect({ port: server.address().port, host: '127.0.0.1', rejectUnauthorized: false })
    tune(socket, { count: 4 })
    await once(socket, 'secureConnect')
    const [peer] = await accepted
    cleanup(() => [socket.destroy(), peer.destroy()])
    assert.equal(inspect(socket).profile.count, 4)
    assert.equal(inspect(peer).profile.interval, 5_000)
  },

  async 'the package works in a worker'() {
    const worker = new Worker(new URL('registered.mjs', import.meta.url), { stdout: true })
    cleanup(() => worker.terminate())
    const [output] = await once(worker.stdout, 'data')
    assert.deepEqual(Object.keys(JSON.parse(output)), ['opened', 'accepted'])
  },

  async 'listSockets lists a connection'() {
    const { socket } = await connect()
    const { localPort, remotePort } = socket
    const list = await listSockets({ localPort, remotePort, states: ['established'], info: true })
    assert.equal(list.length, 1)
  },

  async 'an HTTP agent tunes and reuses its connections'() {
    const server = await listen(http.createServer((_, response) => response.end('here')))
    const agent = new HttpAgent({ profile: 'datacenter' })
    cleanup(() => agent.destroy())
    const ask = async () => {
      const request = http.get({ port: server.address().port, host: '127.0.0.1', agent })
      const [response] = await once(request, 'response')
      const { profile } = inspect(request)
      let text = ''
      for await (const chunk of response) text += chunk
      return [text, profile.initialDelay]
    }
    assert.deepEqual(await ask(), ['here', profiles.datacenter.initialDelay])
    await delay(50)
    assert.deepEqual(await ask(), ['here', profiles.datacenter.initialDelay])
    const { total } = agent.snapshot()
    assert.deepEqual([total.opened, total.requests], [1, 2])
  },

  async 'connections of an HTTP server can be tuned, inspected and watched, except on Bun'() {
    const refusals = []
    const server = await listen(
      http.createServer(({ socket }, response) => {
        for (const verb of [(each) => tune(each, 'lan'), inspect, (each) => watch().add(each)]) {
          try {
            verb(socket)
          } catch ({ code }) {
            refusals.push(code)
          }
        }
        response.end()
      }),
    )
    const request = http.get({ port: server.address().port, host: '127.0.0.1', agent: false })
    const [response] = await once(request, 'response')
    response.resume()
    await once(response, 'end')
    // Bun shows no descriptor there.
    assert.deepEqual(refusals, isBun ? Array(3).fill('ERR_UNSUPPORTED_PLATFORM') : [])
    if (isBun) assert.throws(() => tune(server, 'lan'), { code: 'ERR_INVALID_ARG_TYPE' })
  },

  async 'createAgent works with undici, except on Bun'() {
    const { request } = await import('undici')
    const { connector, createAgent } = await import('deadpeer/undici')
    if (isBun) {
      for (const make of [() => createAgent(), () => connector('lan')])
        assert.throws(make, { code: 'ERR_UNSUPPORTED_PLATFORM' })
      return
    }
    let accepted
    const server = await listen(http.createServer((_, response) => response.end('here')))
    server.on('connection', (peer) => {
      accepted = peer
    })
    const dispatcher = createAgent({ profile: 'lan' })
    cleanup(() => dispatcher.close())
    const { body } = await request(`http://127.0.0.1:${server.address().port}/`, { dispatcher })
    assert.equal(await body.text(), 'here')
    assert.ok(accepted)
  },

  async 'register tunes a program without code changes, except on Bun'() {
    const program = fileURLToPath(new URL('registered.mjs', import.meta.url))
    const register = fileURLToPath(import.meta.resolve('deadpeer/register'))
    const started = promisify(execFile)(
      process.execPath,
      [isBun ? '--preload' : '--import', register, program],
      {
        env: { ...process.env, DEADPEER_PROFILE: 'lan' },
      },
    )
    if (isBun) {
      await assert.rejects(started, {
        code: 1,
        stdout: '',
        stderr: /^deadpeer\/register: Bun does not tell [^\n]*\n$/,
      })
      return
    }
    const { stdout } = await started
    assert.deepEqual(JSON.parse(stdout), { opened: 3_000, accepted: 3_000 })
  },
}

/** A certificate with its key, each in PEM. */
function certificate() {
  const key = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout -'
  const args = ['req', '-x509', '-subj', '/CN=localhost', ...key.split(' '), '-out', '-']
  const pem = execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] })
  return { key: pem, cert: pem }
}

const cleanups = []
function cleanup(task) {
  cleanups.push(task)
}

async function listen(server) {
  cleanup(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

async function connect(prepare) {
  const server = net.createServer((accepted) => accepted.on('error', () => {}))
  prepare?.(server)
  await listen(server)
  const accepted = once(server, 'connection')
  const socket = net.connect(server.address().port, '127.0.0.1')
  await once(socket, 'connect')
  const [peer] = await accepted
  // An earlier error has rejected one of the promises above.
  socket.on('error', () => {})
  cleanup(() => [socket.destroy(), peer.destroy()])
  return { socket, peer }
}

// All at once, because they mostly wait.
const outcomes = await Promise.all(
  Object.entries(checks).map(async ([name, check]) => {
    const started = performance.now()
    try {
      await Promise.race([check(), delay(15_000).then(() => assert.fail('not done after 15 s'))])
      console.log(`ok ${name} (${Math.round(performance.now() - started)} ms)`)
      return true
    } catch (error) {
      console.log(`not ok ${name}: ${error.code ?? ''} ${error.message}`)
      return false
    }
  }),
)
for (const task of cleanups) task()
const passed = outcomes.filter(Boolean).length
const runtime = isBun ? `Bun ${process.versions.bun}` : `Node ${process.version}`
console.log(`${runtime}: ${passed} passed, ${outcomes.length - passed} failed`)
process.exit(passed < outcomes.length ? 1 : 0)

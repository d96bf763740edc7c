import { spawnSync } from 'node:child_process'
import { getEventListeners, once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { listSockets, type SocketFilter } from '../../src/host/index.js'
import { inspect, tune } from '../../src/index.js'
import { connect, connectPair } from '../support/connections.js'
import { openDescriptors } from '../support/descriptors.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

describe('a connection of our own', () => {
  it.each(['127.0.0.1', '::1'])('is listed with both its ends: %s', async (host) => {
    const { socket, peer } = await connectPair({ host })
    const [near, ...others] = await listSockets({
      localPort: socket.localPort!,
      remotePort: socket.remotePort!,
    })
    expect(others).toEqual([])
    expect(near).toMatchObject({
      family: host === '::1' ? 'ipv6' : 'ipv4',
      state: 'established',
      local: { address: host, port: socket.localPort },
      remote: { address: host, port: socket.remotePort },
      retries: 0,
      uid: process.getuid!(),
      sendQueue: 0,
    })
    const [far] = await listSockets({ local: host, localPort: peer.localPort!, remotePort: peer.remotePort! })
    expect(far!.remote).toEqual(near!.local)
    expect(far!.cookie).not.toBe(near!.cookie)
  })

  it('has the keepalive timer and the unread bytes in its record', async () => {
    const { socket, peer } = await connectPair()
    tune(socket, { initialDelay: 600_000 })
    socket.write('four')
    await delay(50)
    const [near] = await listSockets({ localPort: socket.localPort!, remotePort: socket.remotePort! })
    expect(near!.timer).toBe('keepalive')
    expect(near!.expires).toBeGreaterThan(500_000)
    expect(near!.expires).toBeLessThanOrEqual(600_000)
    const [far] = await listSockets({ localPort: peer.localPort!, remotePort: peer.remotePort! })
    expect(far!.receiveQueue).toBe(4)
    expect(far!.timer).toBe('off')
    expect(far!.expires).toBeUndefined()
  })

  it('has tcp_info in its record on request, equal to what inspect reads', async () => {
    const { socket } = await connectPair()
    const end = { localPort: socket.localPort!, remotePort: socket.remotePort! }
    const [without] = await listSockets(end)
    expect(without!.info).toBeUndefined()
    const [listed] = await listSockets({ ...end, info: true })
    const own = inspect(socket).info!
    expect(listed!.info).toMatchObject({
      state: own.state,
      segsIn: own.segsIn,
      segsOut: own.segsOut,
      bytesReceived: own.bytesReceived,
      rtt: own.rtt,
      sndCwnd: own.sndCwnd,
    })
    expect(Object.keys(listed!.info!)).toEqual(Object.keys(own))
  })
})

describe('listSockets leaves nothing open', () => {
  let before: number
  beforeEach(() => {
    before = openDescriptors()
  })
  afterEach(() => {
    expect(openDescriptors()).toBe(before)
  })

  it('after a list', async () => {
    for (let i = 0; i < 20; i++) await listSockets({ info: true })
  })

  it('after a bad filter', async () => {
    const bad = [
      { localPort: 70_000 },
      { local: '10.0.0.0/33' },
      { states: ['gone'] },
      { colour: 'red' },
      7,
      null,
    ]
    for (const filter of bad) {
      await expect(listSockets(filter as SocketFilter)).rejects.toMatchObject({
        code: expect.stringMatching(/^ERR_(INVALID_ARG_TYPE|OUT_OF_RANGE)$/),
      })
    }
  })

  it('when the signal is already aborted', async () => {
    const reason = new Error('not wanted any more')
    await expect(listSockets({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    await expect(listSockets({ signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' })
  })

  it('when the signal is aborted while it lists', async () => {
    await connect(500)
    before = openDescriptors()
    for (let i = 0; i < 50; i++) {
      const controller = new AbortController()
      const listing = listSockets({ info: true, signal: controller.signal })
      // At once, on the next turn, or in the middle of it.
      if (i % 3 === 0) controller.abort('enough')
      else setTimeout(() => controller.abort('enough'), i % 3 === 1 ? 0 : (i % 5) / 2)
      const outcome = await listing.then(
        (list) => list.length > 0,
        (reason) => reason,
      )
      expect([true, 'enough']).toContain(outcome)
      if (i % 3 === 0) expect(outcome).toBe('enough')
      expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    }
    // What was called off may take a moment on its thread.
    await delay(200)
  })

  it('after any number of concurrent lists with one signal, without a warning', async () => {
    const warnings: Error[] = []
    const noteWarning = (warning: Error) => warnings.push(warning)
    process.on('warning', noteWarning)
    const { signal } = new AbortController()
    const lists = await Promise.all(
      Array.from({ length: 40 }, () => listSockets({ states: ['listen'], signal })),
    )
    process.off('warning', noteWarning)
    expect(warnings).toEqual([])
    expect(lists.every(({ interrupted }) => !interrupted)).toBe(true)
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })
})

describe('listSockets where it cannot work', () => {
  const script = `
    import { listSockets } from 'deadpeer/host'
    const { code, syscall, errno, message } = await listSockets().catch((error) => error)
    console.log(JSON.stringify({ code, syscall, errno, message }))`
  const run = (prefix: string, env = {}) => {
    const { stdout, stderr } = spawnSync(
      'sh',
      ['-c', `${prefix} exec "$@"`, 'sh', process.execPath, '--input-type=module', '-e', script],
      { encoding: 'utf8', cwd: root, env: { ...process.env, ...env } },
    )
    if (!stdout) throw new Error(stderr)
    return JSON.parse(stdout)
  }

  it('rejects with ERR_UNSUPPORTED_PLATFORM without the native core', () => {
    expect(run('', { DEADPEER_NATIVE: 'off' })).toMatchObject({
      code: 'ERR_UNSUPPORTED_PLATFORM',
      message: expect.stringMatching(/needs the native core: switched off/),
    })
  })

  it('names the errno and the call with no descriptor left', () => {
    const many = `
      import { openSync } from 'node:fs'
      import { listSockets } from 'deadpeer/host'
      await listSockets()
      try { for (;;) openSync('/dev/null') } catch {}
      const { code, syscall, errno } = await listSockets().catch((error) => error)
      console.log(JSON.stringify({ code, syscall, errno }))`
    const { stdout } = spawnSync(
      'sh',
      ['-c', 'ulimit -n 100; exec "$@"', 'sh', process.execPath, '--input-type=module', '-e', many],
      { encoding: 'utf8', cwd: root },
    )
    expect(JSON.parse(stdout)).toEqual({ code: 'EMFILE', syscall: 'socket', errno: -24 })
  })
})

it('leaves nothing open in worker threads that are terminated during a dump', async () => {
  await connect(1_000)
  const script = new URL('fixtures/list-worker.mjs', import.meta.url)
  const start = async () => {
    const worker = new Worker(script)
    await once(worker, 'message')
    return worker
  }
  // Node keeps some descriptors of its own once there has been a worker.
  await (await start()).terminate()
  const before = openDescriptors()
  for (let round = 0; round < 10; round++) {
    const workers = await Promise.all(Array.from({ length: 4 }, start))
    await Promise.all(
      workers.map(async (worker, i) => {
        await delay(i * 2 + Math.random() * 3)
        await worker.terminate()
      }),
    )
  }
  expect(openDescriptors()).toBeLessThanOrEqual(before)
})

it('keeps the process running until it is done, and no longer', () => {
  const { stdout, status } = spawnSync(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      "import { listSockets } from 'deadpeer/host'; listSockets().then((l) => console.log(l.length >= 0))",
    ],
    { encoding: 'utf8', cwd: root, timeout: 20_000 },
  )
  expect({ stdout, status }).toEqual({ stdout: 'true\n', status: 0 })
})

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { borrowSocket } from '../../src/host/index.js'
import { inspect, profiles, tune, tuneAll } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { connectPair } from '../support/connections.js'
import { descriptorOf, openDescriptors } from '../support/descriptors.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { asOrdinaryUser, hasOrdinaryUser } from '../support/ordinary-user.js'
import { startOwner } from '../support/owner-process.js'
import { until } from '../support/until.js'

const ESTABLISHED = 1
const CLOSE_WAIT = 8

const root = fileURLToPath(new URL('../..', import.meta.url))
const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))
const refusal = (code: string, message: RegExp = /./) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) })

describe('a borrowed connection', () => {
  it.each(['127.0.0.1', '::1'])('is tuned in this process and read back in its owner: %s', async (host) => {
    const { pid, fd, ask } = await startOwner(host)
    using borrowed = borrowSocket(pid, fd)
    tune(borrowed, 'datacenter')
    expect((await ask('inspect')).profile).toMatchObject(profiles.datacenter)
    expect(await tuneAll([borrowed], { ...profiles.mobile, failOnIcmp: true })).toEqual([{}])
    const inside = await ask('inspect')
    expect(inside.profile).toMatchObject({ ...profiles.mobile, failOnIcmp: true })
    expect(inspect(borrowed)).toMatchObject({ profile: inside.profile, verdict: 'alive' })
  })

  it('can be passed to tuneAll together with connections of this process', async () => {
    const { pid, fd, ask } = await startOwner()
    const { socket, peer } = await connectPair()
    const closed = borrowSocket(pid, fd)
    closed.close()
    const results = await tuneAll([socket, borrowSocket(pid, fd), closed, peer], 'patient')
    expect(results).toEqual([{}, {}, { error: refusal('ERR_SOCKET_CLOSED') }, {}])
    expect((await ask('inspect')).profile).toMatchObject(profiles.patient)
  })

  it('inherits the options of a borrowed listener that was tuned before it was accepted', async () => {
    const { pid, ask } = await startOwner()
    const { listener } = await ask('others')
    tune(borrowSocket(pid, listener), 'cloud')
    expect(inspect(borrowSocket(pid, listener))).toMatchObject({
      profile: profiles.cloud,
      evidence: 'listening',
    })
  })

  it('is tuned by the unchanged example of docs/host.md', async () => {
    const { pid, fd, ask } = await startOwner()
    const page = readFileSync(`${root}/docs/host.md`, 'utf8')
    const [, example = ''] =
      /## Inspect and tune another process's socket\n[\s\S]*?```js\n([\s\S]*?)```/.exec(page) ?? []
    const args = ['--input-type=module', '-e', example, String(pid), String(fd)]
    expect(execFileSync(process.execPath, args, { encoding: 'utf8', cwd: root })).toMatch(/verdict: 'alive'/)
    expect((await ask('inspect')).profile).toMatchObject(profiles.cloud)
  })

  it('can belong to this process', async () => {
    const { socket } = await connectPair()
    using borrowed = borrowSocket(process.pid, descriptorOf(socket))
    tune(borrowed, 'mobile')
    expect(inspect(socket).profile).toMatchObject(profiles.mobile)
  })

  it('replaces the pending values of a socket of this process when it is tuned', async () => {
    const { socket } = await connectPair()
    await delay(3_000)
    tune(socket, { initialDelay: 1_000, interval: 1_000, count: 9, userTimeout: 2_500 })
    expect(inspect(socket).pending).toEqual({ userTimeout: 2_500 })
    tune(borrowSocket(process.pid, descriptorOf(socket)), { userTimeout: 0 })
    expect(inspect(socket).pending).toBeUndefined()
  })
})

describe('a borrowed descriptor', () => {
  it("does not delay the FIN of the owner's close(), and the handle reports closed after it", async () => {
    const { pid, fd, peer, ask } = await startOwner()
    using borrowed = borrowSocket(pid, fd)
    inspect(borrowed)
    // A descriptor left behind would be closed with the next garbage collection, seconds later.
    const end = once(peer, 'end', { signal: AbortSignal.timeout(2_000) })
    await ask('close')
    await end
    const closed = refusal('ERR_SOCKET_CLOSED', new RegExp(`${pid}.*${fd}`))
    expect(() => inspect(borrowed)).toThrow(closed)
    expect(() => tune(borrowed, 'lan')).toThrow(closed)
    expect(await tuneAll([borrowed], 'lan')).toEqual([{ error: closed }])
  })

  it('delays the FIN only until the call returns', async () => {
    const { pid, fd, peer, ask } = await startOwner()
    using borrowed = borrowSocket(pid, fd)
    await ask('closeIn', 100)
    const state = borrowed.use(() => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000)
      return inspect(peer).info!.state
    })
    expect(readdirSync(`/proc/${pid}/fd`)).not.toContain(String(fd))
    expect(state).toBe(ESTABLISHED)
    await once(peer, 'end')
  })

  it.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)(
    'is closed when the borrower ends by %s during a call',
    async (signal) => {
      const { pid, fd, peer, ask } = await startOwner()
      const borrower = spawn(process.execPath, [fixture('borrower.mjs'), String(pid), String(fd)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      }) as ChildProcess & { stdout: NodeJS.ReadableStream }
      await once(borrower.stdout, 'data')
      await ask('close')
      await until(() => !readdirSync(`/proc/${pid}/fd`).includes(String(fd)))
      await delay(200)
      expect(inspect(peer).info!.state).toBe(ESTABLISHED)
      const end = once(peer, 'end')
      borrower.kill(signal)
      await end
      expect(inspect(peer).info?.state ?? CLOSE_WAIT).toBe(CLOSE_WAIT)
    },
  )

  it('is closed when a worker is terminated during a call', async () => {
    const { pid, fd, peer, ask } = await startOwner()
    const worker = new Worker(fixture('borrowing-worker.mjs'), { workerData: { pid, fd } })
    await once(worker, 'message')
    await ask('close')
    await delay(200)
    expect(inspect(peer).info!.state).toBe(ESTABLISHED)
    const end = once(peer, 'end')
    await worker.terminate()
    await end
  })

  it('is reported as closed when its number belongs to another connection, which is not changed', async () => {
    const { pid, fd, ask } = await startOwner()
    using borrowed = borrowSocket(pid, fd)
    let number = await ask('reopen')
    for (let tries = 0; number !== fd && tries < 5; tries++) number = await ask('reopen')
    expect(number).toBe(fd)
    const { profile } = await ask('inspect')
    expect(() => tune(borrowed, 'lan')).toThrow(refusal('ERR_SOCKET_CLOSED'))
    expect((await ask('inspect')).profile).toEqual(profile)
  })

  it('is reported as closed when its owner has ended', async () => {
    const { pid, fd, child } = await startOwner()
    using borrowed = borrowSocket(pid, fd)
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(() => inspect(borrowed)).toThrow(refusal('ERR_SOCKET_CLOSED'))
    expect(() => borrowSocket(pid, fd)).toThrow(refusal('ESRCH', new RegExp(`no process ${pid}`)))
  })

  it('can be closed explicitly, more than once', async () => {
    const { pid, fd } = await startOwner()
    const borrowed = borrowSocket(pid, fd)
    borrowed.close()
    borrowed[Symbol.dispose]()
    for (const call of [() => tune(borrowed, 'lan'), () => inspect(borrowed)]) {
      expect(call).toThrow(refusal('ERR_SOCKET_CLOSED'))
    }
  })

  it('leaves no descriptor open, with or without an error', async () => {
    const { pid, fd, ask } = await startOwner()
    const { file, udp } = await ask('others')
    const before = openDescriptors()
    const borrowed = borrowSocket(pid, fd)
    const attempts: (() => unknown)[] = [
      () => inspect(borrowed),
      () => tune(borrowed, 'lan'),
      () => tune(borrowed, { initialDelay: 1 }),
      () => borrowed.use(() => Promise.resolve()),
      () =>
        borrowed.use(() => {
          throw new Error('thrown in the middle')
        }),
      () => blackHole(borrowed as never),
      () => borrowSocket(pid, file),
      () => borrowSocket(pid, udp),
      () => borrowSocket(pid, 9_999),
      () => borrowSocket(4_000_000, fd),
    ]
    for (const attempt of attempts) {
      for (let round = 0; round < 20; round++) {
        try {
          attempt()
        } catch {}
      }
      expect(openDescriptors(), String(attempt)).toBeLessThanOrEqual(before)
    }
    await tuneAll(Array(1_000).fill(borrowed), 'lan')
    expect(openDescriptors()).toBeLessThanOrEqual(before)
    await ask('close')
    await until(() => !readdirSync(`/proc/${pid}/fd`).includes(String(fd)))
    for (const call of [() => inspect(borrowed), () => tune(borrowed, 'lan')]) {
      expect(call).toThrow(refusal('ERR_SOCKET_CLOSED'))
    }
    expect(openDescriptors()).toBeLessThanOrEqual(before)
  })
})

/** Would be over at the next firing but one: silent for longer than its userTimeout. */
const hasty = { initialDelay: 1_000, interval: 1_000, count: 9, userTimeout: 2_500 }

describe.concurrent('a tune of a borrowed connection', () => {
  it('sets nothing if a value would have to be deferred', async () => {
    const { pid, fd } = await startOwner()
    await delay(3_000)
    const borrowed = borrowSocket(pid, fd)
    const before = inspect(borrowed)
    expect(() => tune(borrowed, hasty)).toThrow(
      expect.objectContaining({
        code: 'ERR_MUST_WAIT',
        message: expect.stringMatching(/userTimeout.*Nothing was changed/),
        pending: { userTimeout: 2_500 },
      }),
    )
    expect(inspect(borrowed)).toMatchObject({
      profile: before.profile,
      info: { segsOut: before.info!.segsOut },
    })
    await delay(200)
    expect(inspect(borrowed).profile).toEqual(before.profile)
    expect(inspect(borrowed)).not.toHaveProperty('pending')
  })

  it('is done in two steps by tuneAll: first the safe values, then the deferred ones', async () => {
    const { pid, fd, ask } = await startOwner()
    await delay(3_000)
    expect(await tuneAll([borrowSocket(pid, fd)], hasty)).toEqual([{}])
    expect((await ask('inspect')).profile).toMatchObject(hasty)
    await delay(4_000)
    expect(await ask('errors')).toEqual([])
  })

  it.runIf(hasNetAdmin)('does not set deferred values if the peer does not acknowledge in time', async () => {
    const { pid, fd, peer, ask } = await startOwner()
    const borrowed = borrowSocket(pid, fd)
    await delay(3_000)
    const gone = blackHole(peer)
    expect(await tuneAll([borrowed], hasty)).toEqual([{ pending: { userTimeout: 2_500 } }])
    const { userTimeout, ...first } = hasty
    expect(inspect(borrowed).profile).toMatchObject({ ...first, userTimeout: 0 })
    gone.restore()
    await until(() => inspect(borrowed).info!.probes === 0)
    expect(inspect(borrowed).profile.userTimeout).toBe(0)
    tune(borrowed, { userTimeout })
    await delay(4_000)
    // It is probed every second, and may be seen between a probe and its answer.
    let seen = await ask('inspect')
    for (let i = 0; i < 20 && seen.verdict === 'suspect'; i++) seen = await ask('inspect')
    expect(seen).toMatchObject({ verdict: 'alive', profile: hasty })
  })

  it.runIf(hasNetAdmin)('writes nothing in tuneAll if all values must be deferred', async () => {
    const { pid, fd, peer, ask } = await startOwner()
    const borrowed = borrowSocket(pid, fd)
    tune(borrowed, { initialDelay: 1_000, interval: 1_000, count: 20 })
    const gone = blackHole(peer)
    await until(() => inspect(borrowed).info!.probes === 2)
    const before = inspect(borrowed).profile
    expect(await tuneAll([borrowed], { userTimeout: 1_500 })).toEqual([{ pending: { userTimeout: 1_500 } }])
    expect(inspect(borrowed).profile).toEqual(before)
    gone.restore()
    await until(() => inspect(borrowed).info!.probes === 0)
    expect(await ask('errors')).toEqual([])
  })

  it.runIf(hasNetAdmin)(
    'leaves out count and userTimeout if count probes are already unacknowledged',
    async () => {
      const { pid, fd, peer, ask } = await startOwner()
      const borrowed = borrowSocket(pid, fd)
      tune(borrowed, { initialDelay: 1_000, interval: 1_000, count: 20 })
      const gone = blackHole(peer)
      await until(() => inspect(borrowed).info!.probes === 3)
      const deadly = { count: 2, userTimeout: 3_000 }
      expect(await tuneAll([borrowed], { initialDelay: 2_000, ...deadly })).toEqual([{ pending: deadly }])
      expect(inspect(borrowed).profile).toMatchObject({ initialDelay: 2_000, count: 20, userTimeout: 0 })
      gone.restore()
      await until(() => inspect(borrowed).info!.probes === 0)
      expect(await ask('errors')).toEqual([])
    },
  )

  it.runIf(hasNetAdmin)('writes nothing in tuneAll if the first step would not be safe either', async () => {
    const { pid, fd, peer, ask } = await startOwner()
    const borrowed = borrowSocket(pid, fd)
    tune(borrowed, { initialDelay: 60_000, interval: 1_000, userTimeout: 61_000 })
    await delay(3_000)
    const before = inspect(borrowed)
    const gone = blackHole(peer)
    // Silent for 3 s, under a userTimeout of 4: one lost probe would be the end.
    const [result] = await tuneAll([borrowed], { initialDelay: 1_000, userTimeout: 4_000 })
    expect(result).toMatchObject({ error: { code: 'ERR_MUST_WAIT' } })
    expect(inspect(borrowed)).toMatchObject({
      profile: before.profile,
      info: { segsOut: before.info!.segsOut },
    })
    gone.restore()
    expect(await ask('errors')).toEqual([])
  })
})

describe('a refusal to borrow', () => {
  it.each<{ pid: unknown; fd: unknown; field: string }>([
    { pid: '1', fd: 3, field: 'pid' },
    { pid: null, fd: 3, field: 'pid' },
    { pid: undefined, fd: 3, field: 'pid' },
    { pid: 0, fd: 3, field: 'pid' },
    { pid: -1, fd: 3, field: 'pid' },
    { pid: 1.5, fd: 3, field: 'pid' },
    { pid: 2 ** 31, fd: 3, field: 'pid' },
    { pid: process.pid, fd: '3', field: 'fd' },
    { pid: process.pid, fd: -1, field: 'fd' },
    { pid: process.pid, fd: Number.NaN, field: 'fd' },
    { pid: process.pid, fd: 3n, field: 'fd' },
  ])('names the argument: borrowSocket($pid, $fd)', ({ pid, fd, field }) => {
    expect(() => borrowSocket(pid as number, fd as number)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', field }),
    )
  })

  it('distinguishes a descriptor that is not a TCP socket from one that is not open', async () => {
    const { pid, ask } = await startOwner()
    const { file, udp } = await ask('others')
    expect(() => borrowSocket(pid, file)).toThrow(refusal('ERR_NOT_TCP', /not a socket/))
    expect(() => borrowSocket(pid, udp)).toThrow(refusal('ERR_NOT_TCP', /not a TCP socket/))
    expect(() => borrowSocket(pid, 9_999)).toThrow(refusal('EBADF', /no descriptor 9999/))
    expect(() => borrowSocket(process.pid, openSync('/dev/null', 'r'))).toThrow(refusal('ERR_NOT_TCP'))
  })

  it('names the call that failed because no descriptor was free', () => {
    const script = `
      import { closeSync, openSync } from 'node:fs'
      import { borrowSocket } from 'deadpeer/host'
      const attempt = () => { try { borrowSocket(process.pid, 0) } catch ({ code, syscall }) { return { code, syscall } } }
      attempt()
      const opened = []
      try { for (;;) opened.push(openSync('/dev/null')) } catch {}
      const none = attempt()
      closeSync(opened.pop())
      console.log(JSON.stringify([none, attempt()]))`
    const args = [
      '-c',
      'ulimit -n 64 && exec "$@"',
      'sh',
      process.execPath,
      '--input-type=module',
      '-e',
      script,
    ]
    const output = execFileSync('sh', args, { encoding: 'utf8', cwd: root })
    expect(JSON.parse(output)).toEqual([
      { code: 'EMFILE', syscall: 'pidfd_open' },
      { code: 'EMFILE', syscall: 'pidfd_getfd' },
    ])
  })

  it('says that the id belongs to a thread, not a process', () => {
    const thread = readdirSync('/proc/self/task')
      .map(Number)
      .find((id) => id !== process.pid)!
    expect(() => borrowSocket(thread, 0)).toThrow(refusal('ESRCH', /thread/))
  })

  it.runIf(hasOrdinaryUser)('is an EPERM that names the required permission', async () => {
    const { pid, fd, ask } = await startOwner()
    const [outcome] = await asOrdinaryUser([['borrow', pid, fd]])
    if (process.getuid!() !== 0) {
      expect(outcome).toEqual({ value: fd })
      return
    }
    expect(outcome.code).toBe('EPERM')
    for (const remedy of [/same user/, /dumpable/, /kernel\.yama\.ptrace_scope/, /CAP_SYS_PTRACE/]) {
      expect(outcome.message).toMatch(remedy)
    }
    expect((await ask('inspect')).verdict).toBe('alive')
  })

  it('applies to a black hole, which is for sockets of this process', async () => {
    const { pid, fd } = await startOwner()
    expect(() => blackHole(borrowSocket(pid, fd) as never)).toThrow(refusal('ERR_INVALID_ARG_TYPE'))
  })

  it('applies without a native core', () => {
    const script = `
      import { borrowSocket } from 'deadpeer/host'
      try { borrowSocket(process.pid, 0) } catch ({ code }) { console.log(code) }`
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      cwd: root,
      env: { ...process.env, DEADPEER_NATIVE: 'off' },
    })
    expect(output.trim()).toBe('ERR_UNSUPPORTED_PLATFORM')
  })
})

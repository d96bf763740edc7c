import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { descriptorOf } from '../../src/connection/target.js'
import { borrowSocket } from '../../src/host/index.js'
import { inspect, type ProbeResult, type Profile, probe, probeAll, profiles, tune } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { awaitIdle, idlePair, kernelOptions } from '../support/idle-connections.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { type Owner, startOwner } from '../support/owner-process.js'
import { latest } from '../support/tolerance.js'
import { until } from '../support/until.js'

/** An option that is not as its owner left it shows there: another process knows nothing of our question. */
const optionsIn = async ({ ask }: Owner): Promise<Profile> => (await ask('inspect')).profile

async function idleOwner(profile?: Profile): Promise<{ owner: Owner; before: Profile }> {
  const owner = await startOwner()
  if (profile) tune(borrowSocket(owner.pid, owner.fd), profile)
  await awaitIdle(owner.peer)
  return { owner, before: await optionsIn(owner) }
}

/** So long that nothing of this is due while these tests run. */
const patient: Profile = { initialDelay: 60_000, interval: 10_000, count: 3 }

describe.concurrent("probe of another process's connection", () => {
  it.each<Profile | undefined>([undefined, patient, profiles.cloud])('answered: %o', async (profile) => {
    const { owner, before } = await idleOwner(profile)
    expect(await probe(borrowSocket(owner.pid, owner.fd))).toMatchObject({ alive: true, evidence: 'ack' })
    expect(await optionsIn(owner)).toEqual(before)
  })

  it('takes a connection of this process', async () => {
    const { socket } = await idlePair()
    const before = kernelOptions(socket)
    const borrowed = borrowSocket(process.pid, descriptorOf(socket))
    const results = await probeAll([borrowed, socket])
    expect(kernelOptions(socket)).toEqual(before)
    for (const result of results) expect(result).toMatchObject({ alive: true, evidence: 'ack', attempts: 1 })
  })

  it('goes on when the borrowed handle is disposed of during the probe', async () => {
    const { owner, before } = await idleOwner()
    const open = readdirSync('/proc/self/fd').length
    const ask = () => {
      using borrowed = borrowSocket(owner.pid, owner.fd)
      return probe(borrowed)
    }
    expect(await ask()).toMatchObject({ alive: true, evidence: 'ack' })
    expect(await optionsIn(owner)).toEqual(before)
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(open + SOME_OTHERS)
  })

  it('is closed if the owner closes before or during the probe, or the handle was disposed of before', async () => {
    const { owner } = await idleOwner()
    const borrowed = borrowSocket(owner.pid, owner.fd)
    const given = borrowSocket(owner.pid, owner.fd)
    given.close()
    expect(await probe(given)).toMatchObject({ alive: false, evidence: 'closed', attempts: 0 })
    await owner.ask('close')
    await until(() => !readdirSync(`/proc/${owner.pid}/fd`).includes(String(owner.fd)))
    expect(await probe(borrowed)).toMatchObject({ alive: false, evidence: 'closed', attempts: 0 })
  })

  it.runIf(hasNetAdmin)('is closed if the owner closes during the probe', async () => {
    const { owner, before } = await idleOwner(patient)
    blackHole(owner.peer)
    const asked = probe(borrowSocket(owner.pid, owner.fd))
    await untilLifted(owner, before)
    await owner.ask('close')
    expect(await asked).toMatchObject({ alive: false, evidence: 'closed', attempts: 1 })
  })

  it.runIf(hasNetAdmin)(
    'restores all options before it resolves for a silent peer without keepalive',
    async () => {
      const { owner, before } = await idleOwner()
      blackHole(owner.peer)
      const result = await probe(borrowSocket(owner.pid, owner.fd))
      expect(result).toMatchObject({ alive: false, evidence: 'silence', attempts: 3 })
      expect(await optionsIn(owner)).toEqual(before)
    },
  )

  it.runIf(hasNetAdmin).each<[string, Profile]>([
    // userTimeout is initialDelay + interval × count, as presets have it: nothing has to be raised but for the question itself.
    ['options that are enough', profiles.cloud],
    ['options that have to be raised', { ...patient, userTimeout: 85_000 }],
  ])('silent, with %s: as many attempts as were asked for', async (_, profile) => {
    const { owner, before } = await idleOwner(profile)
    blackHole(owner.peer)
    const controller = new AbortController()
    let answer: ProbeResult | undefined
    const result = await probe(borrowSocket(owner.pid, owner.fd), {
      signal: controller.signal,
      onAnswer(known) {
        answer = known
        controller.abort()
      },
    })
    expect(answer).toMatchObject({ alive: false, evidence: 'silence', attempts: 3 })
    expect(result).toEqual(answer)
    expect(await optionsIn(owner)).toEqual(before)
  })

  it.runIf(hasNetAdmin)('resolves at once for a silent peer if the own options suffice', async () => {
    const { owner, before } = await idleOwner(profiles.cloud)
    blackHole(owner.peer)
    const result = await probe(borrowSocket(owner.pid, owner.fd))
    expect(result).toMatchObject({ alive: false, evidence: 'silence', attempts: 3 })
    // Its own clock would have sent nothing before that.
    expect(result.idleFor).toBeLessThan(profiles.cloud.initialDelay!)
    expect(await optionsIn(owner)).toEqual(before)
  })

  it.runIf(hasNetAdmin)(
    'silent, and its own clock ends it when it would have: then it resolves',
    async () => {
      const { owner } = await idleOwner({ initialDelay: 4_000, interval: 1_000, count: 2 })
      const heardAt = performance.now() - silenceIn(await owner.ask('inspect'))
      blackHole(owner.peer)
      const result = await probe(borrowSocket(owner.pid, owner.fd))
      const after = performance.now() - heardAt
      expect(result).toMatchObject({ alive: false, evidence: 'silence', attempts: 3 })
      expect(after).toBeGreaterThan(6_000 - 100)
      expect(after).toBeLessThan(latest(6_000))
      expect(await owner.ask('errors')).toEqual(['ETIMEDOUT'])
    },
  )

  it.runIf(hasNetAdmin)('is alive if a silent peer is heard again before it resolves', async () => {
    const { owner, before } = await idleOwner({ initialDelay: 4_000, interval: 1_000, count: 2 })
    const hole = blackHole(owner.peer)
    const asked = probe(borrowSocket(owner.pid, owner.fd), { attempts: 1 })
    await untilLifted(owner, before)
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    hole.restore()
    expect(await asked).toMatchObject({ alive: true, evidence: 'ack' })
    expect(await optionsIn(owner)).toEqual(before)
    expect(await owner.ask('errors')).toEqual([])
  })

  it.runIf(hasNetAdmin)(
    'onAnswer tells while the options are still raised; anew where the peer is heard then',
    async () => {
      const { owner, before } = await idleOwner({ initialDelay: 4_000, interval: 1_000, count: 2 })
      const hole = blackHole(owner.peer)
      const told: unknown[] = []
      const onAnswer = async ({ alive, evidence }: ProbeResult, index: number) => {
        told.push([alive, evidence, index, isOver])
        if (alive) return
        // Another process reads what is lifted.
        isRaised = JSON.stringify(await optionsIn(owner)) !== JSON.stringify(before)
        hole.restore()
      }
      let isRaised = false
      let isOver = false
      const result = await probe(borrowSocket(owner.pid, owner.fd), { attempts: 1, onAnswer })
      isOver = true
      expect(result).toMatchObject({ alive: true, evidence: 'ack' })
      expect(isRaised).toBe(true)
      expect(told).toEqual([
        [false, 'silence', 0, false],
        [true, 'ack', 0, false],
      ])
      expect(await optionsIn(owner)).toEqual(before)
    },
  )

  it.runIf(hasNetAdmin)(
    'onAnswer tells each once, whatever it was, before the promise resolves',
    async () => {
      const [{ owner }, { owner: mute }] = await Promise.all([idleOwner(patient), idleOwner(patient)])
      const { socket } = await idlePair()
      const gone = (await idlePair()).socket.destroy()
      blackHole(mute.peer)
      const told = new Map<number, ProbeResult>()
      const controller = new AbortController()
      const results = await probeAll(
        [borrowSocket(owner.pid, owner.fd), socket, gone, borrowSocket(mute.pid, mute.fd)],
        {
          attempts: 1,
          signal: controller.signal,
          onAnswer(result, index) {
            expect(told.has(index)).toBe(false)
            told.set(index, result)
            if (told.size === 4) controller.abort()
          },
        },
      )
      expect(results.map(({ alive }) => alive)).toEqual([true, true, false, false])
      expect(results).toEqual([0, 1, 2, 3].map((index) => told.get(index)))
      const late: ProbeResult[] = []
      const { signal } = controller
      expect(await probe(socket, { signal, onAnswer: (result) => late.push(result) })).toEqual(late[0])
      expect(late).toMatchObject([{ evidence: 'aborted' }])
    },
  )

  it.runIf(hasNetAdmin)('restores all options at once if it is aborted', async () => {
    const { owner, before } = await idleOwner(patient)
    blackHole(owner.peer)
    const controller = new AbortController()
    const asked = probe(borrowSocket(owner.pid, owner.fd), { signal: controller.signal })
    await untilLifted(owner, before)
    controller.abort()
    // Synchronously: whoever calls it off may end the process next.
    expect(inspect(borrowSocket(owner.pid, owner.fd)).profile).toEqual(before)
    expect(await asked).toMatchObject({ alive: undefined, evidence: 'aborted' })
    expect(await optionsIn(owner)).toEqual(before)
  })

  it.runIf(hasNetAdmin)(
    'aborted when the answer is known, and waits for the options: told that',
    async () => {
      const { owner, before } = await idleOwner(patient)
      blackHole(owner.peer)
      const controller = new AbortController()
      let result: ProbeResult | undefined
      const asked = probe(borrowSocket(owner.pid, owner.fd), { attempts: 1, signal: controller.signal })
      void asked.then((answer) => {
        result = answer
      })
      await untilLifted(owner, before)
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      expect(result).toBeUndefined()
      controller.abort()
      expect(await asked).toMatchObject({ alive: false, evidence: 'silence', attempts: 1 })
      expect(await optionsIn(owner)).toEqual(before)
    },
  )
})

/** Other tests of this file have sockets come and go. */
const SOME_OTHERS = 20

function silenceIn({ info }: { info: { lastAckRecv: number; lastDataRecv: number } }): number {
  return Math.min(info.lastAckRecv, info.lastDataRecv)
}

async function untilLifted(owner: Owner, before: Profile): Promise<void> {
  while (JSON.stringify(await optionsIn(owner)) === JSON.stringify(before)) {}
}

function startProber({ pid, fd }: Owner, end: string): ChildProcess & { stdout: NodeJS.ReadableStream } {
  const script = fileURLToPath(new URL('fixtures/prober.mjs', import.meta.url))
  return spawn(process.execPath, [script, String(pid), String(fd), end], {
    stdio: ['pipe', 'pipe', 'ignore'],
  }) as ChildProcess & { stdout: NodeJS.ReadableStream }
}

describe.runIf(hasNetAdmin)('a process that ends during its probe', () => {
  const cases: [string, string, (prober: ChildProcess) => void, unknown[]][] = [
    ...(['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((signal): (typeof cases)[number] => [
      signal,
      'signal',
      (prober) => prober.kill(signal),
      [null, signal],
    ]),
    ['SIGINT that it listens to itself', 'handled', (prober) => prober.kill('SIGINT'), [7, null]],
    ['process.exit()', 'later', (prober) => prober.stdin!.write('now'), [7, null]],
    ['an error that nobody catches', 'throw', (prober) => prober.stdin!.write('now'), [1, null]],
  ]
  it.concurrent.each(cases)('%s: everything is back', async (_, end, how, code) => {
    const { owner, before } = await idleOwner(patient)
    blackHole(owner.peer)
    const prober = startProber(owner, end)
    const output = text(prober.stdout)
    const ended = once(prober, 'exit')
    await untilLifted(owner, before)
    how(prober)
    expect(await ended).toEqual(code)
    expect(await optionsIn(owner)).toEqual(before)
    expect(await output).toBe('')
  })

  it.concurrent('process.exit() before the kernel has sent the probe: everything is back', async () => {
    const { owner, before } = await idleOwner(patient)
    blackHole(owner.peer)
    const [code] = await once(startProber(owner, 'tick'), 'exit')
    expect(code).toBe(7)
    expect(await optionsIn(owner)).toEqual(before)
  })

  it.concurrent('leaves no signal listener of ours if it ends on its own', async () => {
    const { owner, before } = await idleOwner(patient)
    const prober = startProber(owner, 'signal')
    const [output, [code]] = await Promise.all([text(prober.stdout), once(prober, 'exit')])
    expect(JSON.parse(output)).toMatchObject({ alive: true, evidence: 'ack' })
    expect(code).toBe(0)
    expect(await optionsIn(owner)).toEqual(before)
  })
})

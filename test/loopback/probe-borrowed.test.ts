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

/** The options as the owner's own deadpeer reads them. It does not know about our probe, so an overridden option shows. */
const optionsIn = async ({ ask }: Owner): Promise<Profile> => (await ask('inspect')).profile

async function idleOwner(profile?: Profile): Promise<{ owner: Owner; before: Profile }> {
  const owner = await startOwner()
  if (profile) tune(borrowSocket(owner.pid, owner.fd), profile)
  await awaitIdle(owner.peer)
  return { owner, before: await optionsIn(owner) }
}

/** No probe of these options is due while a test runs. */
const patient: Profile = { initialDelay: 60_000, interval: 10_000, count: 3 }

describe.concurrent("probe of another process's connection", () => {
  it.each<Profile | undefined>([undefined, patient, profiles.cloud])(
    'gets an acknowledgement and leaves the options as they were: %o',
    async (profile) => {
      const { owner, before } = await idleOwner(profile)
      expect(await probe(borrowSocket(owner.pid, owner.fd))).toMatchObject({ alive: true, evidence: 'ack' })
      expect(await optionsIn(owner)).toEqual(before)
    },
  )

  it('probes a borrowed connection of this process together with its socket', async () => {
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

  it('resolves with closed if the owner or the borrower closed its handle before the probe', async () => {
    const { owner } = await idleOwner()
    const borrowed = borrowSocket(owner.pid, owner.fd)
    const given = borrowSocket(owner.pid, owner.fd)
    given.close()
    expect(await probe(given)).toMatchObject({ alive: false, evidence: 'closed', attempts: 0 })
    await owner.ask('close')
    await until(() => !readdirSync(`/proc/${owner.pid}/fd`).includes(String(owner.fd)))
    expect(await probe(borrowed)).toMatchObject({ alive: false, evidence: 'closed', attempts: 0 })
  })

  it.runIf(hasNetAdmin)('resolves with closed if the owner closes during the probe', async () => {
    const { owner, before } = await idleOwner(patient)
    blackHole(owner.peer)
    const asked = probe(borrowSocket(owner.pid, owner.fd))
    await untilOverridden(owner, before)
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
    // userTimeout is initialDelay + interval × count, as in the presets. Only the probe itself needs other options.
    ['need an override only during the probe', profiles.cloud],
    ['need an override after it as well', { ...patient, userTimeout: 85_000 }],
  ])('makes all attempts on a silent connection whose options %s', async (_, profile) => {
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

  it.runIf(hasNetAdmin)(
    'resolves right after the last attempt if the own options leave time for all attempts',
    async () => {
      const { owner, before } = await idleOwner(profiles.cloud)
      blackHole(owner.peer)
      const result = await probe(borrowSocket(owner.pid, owner.fd))
      expect(result).toMatchObject({ alive: false, evidence: 'silence', attempts: 3 })
      // The kernel would send its own first probe at initialDelay.
      expect(result.idleFor).toBeLessThan(profiles.cloud.initialDelay!)
      expect(await optionsIn(owner)).toEqual(before)
    },
  )

  it.runIf(hasNetAdmin)(
    'resolves when the own options of a silent connection end it, no sooner and no later than without the probe',
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

  it.runIf(hasNetAdmin)(
    'resolves with alive if a silent peer is heard again before it resolves',
    async () => {
      const { owner, before } = await idleOwner({ initialDelay: 4_000, interval: 1_000, count: 2 })
      const hole = blackHole(owner.peer)
      const asked = probe(borrowSocket(owner.pid, owner.fd), { attempts: 1 })
      await untilOverridden(owner, before)
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      hole.restore()
      expect(await asked).toMatchObject({ alive: true, evidence: 'ack' })
      expect(await optionsIn(owner)).toEqual(before)
      expect(await owner.ask('errors')).toEqual([])
    },
  )

  it.runIf(hasNetAdmin)(
    'calls onAnswer before the options are restored, and again if the peer is heard meanwhile',
    async () => {
      const { owner, before } = await idleOwner({ initialDelay: 4_000, interval: 1_000, count: 2 })
      const hole = blackHole(owner.peer)
      const told: unknown[] = []
      const onAnswer = async ({ alive, evidence }: ProbeResult, index: number) => {
        told.push([alive, evidence, index, isOver])
        if (alive) return
        // Another process reads the overridden options.
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
    'calls onAnswer once for each target, whatever the result, before the promise resolves',
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

  it.runIf(hasNetAdmin)('restores all options synchronously when it is aborted', async () => {
    const { owner, before } = await idleOwner(patient)
    blackHole(owner.peer)
    const controller = new AbortController()
    const asked = probe(borrowSocket(owner.pid, owner.fd), { signal: controller.signal })
    await untilOverridden(owner, before)
    controller.abort()
    // Synchronously: the program may end right after it aborts.
    expect(inspect(borrowSocket(owner.pid, owner.fd)).profile).toEqual(before)
    expect(await asked).toMatchObject({ alive: undefined, evidence: 'aborted' })
    expect(await optionsIn(owner)).toEqual(before)
  })

  it.runIf(hasNetAdmin)(
    'resolves with the known result if it is aborted while it waits to restore the options',
    async () => {
      const { owner, before } = await idleOwner(patient)
      blackHole(owner.peer)
      const controller = new AbortController()
      let result: ProbeResult | undefined
      const asked = probe(borrowSocket(owner.pid, owner.fd), { attempts: 1, signal: controller.signal })
      void asked.then((answer) => {
        result = answer
      })
      await untilOverridden(owner, before)
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      expect(result).toBeUndefined()
      controller.abort()
      expect(await asked).toMatchObject({ alive: false, evidence: 'silence', attempts: 1 })
      expect(await optionsIn(owner)).toEqual(before)
    },
  )
})

/** Other tests of this file open and close sockets at the same time. */
const SOME_OTHERS = 20

function silenceIn({ info }: { info: { lastAckRecv: number; lastDataRecv: number } }): number {
  return Math.min(info.lastAckRecv, info.lastDataRecv)
}

async function untilOverridden(owner: Owner, before: Profile): Promise<void> {
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
    ['SIGINT with a listener of its own', 'handled', (prober) => prober.kill('SIGINT'), [7, null]],
    ['process.exit()', 'later', (prober) => prober.stdin!.write('now'), [7, null]],
    ['an uncaught error', 'throw', (prober) => prober.stdin!.write('now'), [1, null]],
  ]
  it.concurrent.each(cases)('restores all options: %s', async (_, end, how, code) => {
    const { owner, before } = await idleOwner(patient)
    blackHole(owner.peer)
    const prober = startProber(owner, end)
    const output = text(prober.stdout)
    const ended = once(prober, 'exit')
    await untilOverridden(owner, before)
    how(prober)
    expect(await ended).toEqual(code)
    expect(await optionsIn(owner)).toEqual(before)
    expect(await output).toBe('')
  })

  it.concurrent('restores all options: process.exit() before the kernel has sent the probe', async () => {
    const { owner, before } = await idleOwner(patient)
    blackHole(owner.peer)
    const [code] = await once(startProber(owner, 'tick'), 'exit')
    expect(code).toBe(7)
    expect(await optionsIn(owner)).toEqual(before)
  })

  it.concurrent('restores all options and exits with code 0 if it ends on its own after the answer', async () => {
    const { owner, before } = await idleOwner(patient)
    const prober = startProber(owner, 'signal')
    const [output, [code]] = await Promise.all([text(prober.stdout), once(prober, 'exit')])
    expect(JSON.parse(output)).toMatchObject({ alive: true, evidence: 'ack' })
    expect(code).toBe(0)
    expect(await optionsIn(owner)).toEqual(before)
  })
})

import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { on, once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { probeAll, profiles, tune } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { awaitIdle, idlePairs, kernelOptions } from '../support/idle-connections.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { timed } from '../support/tolerance.js'
import { until } from '../support/until.js'

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))

describe.runIf(hasNetAdmin)('4,000 connections of which 1,000 have unresponsive peers', () => {
  // Under a sanitizer a run takes several times as long, and three runs cover the same code as ten.
  const runs = timed ? 10 : 3
  it(`get silence for exactly these in ${runs} runs of ${runs}, and every option is restored`, async () => {
    const pairs = await idlePairs(4_000)
    const sockets = pairs.map(({ socket }) => socket)
    // A third has keepalive off, a third ends by count, a third by userTimeout.
    for (const [i, socket] of sockets.entries()) {
      if (i % 3 > 0) tune(socket, i % 3 === 1 ? profiles.patient : profiles.cloud)
    }
    const before = sockets.map(kernelOptions)
    for (let run = 0; run < runs; run++) {
      await awaitIdle(...sockets)
      const isSilent = (i: number) => (i + run) % 4 === 0
      const holes = pairs.filter((_, i) => isSilent(i)).map(({ peer }) => blackHole(peer))
      const results = await probeAll(sockets)
      const wrong = results.filter((result, i) => result.evidence !== (isSilent(i) ? 'silence' : 'ack'))
      expect(wrong).toEqual([])
      // Few of them need a second attempt: the probes do not leave in a burst that the receiver drops. Bursts of other tests cost some probes.
      const askedAgain = results.filter(({ evidence, attempts }) => evidence === 'ack' && attempts > 1)
      expect(askedAgain.length).toBeLessThan(0.05 * 3_000)
      const changed = sockets.filter((socket, i) => !isSilent(i) && differs(socket, before[i]!))
      expect(changed).toHaveLength(0)
      for (const hole of holes) hole.restore()
      for (const [i, { peer }] of pairs.entries()) if (isSilent(i)) peer.write('.')
      await until(() => sockets.every((socket, i) => !differs(socket, before[i]!)))
    }
  }, 120_000)
})

function differs(socket: Parameters<typeof kernelOptions>[0], options: object): boolean {
  return JSON.stringify(kernelOptions(socket)) !== JSON.stringify(options)
}

const strace = spawnSync('strace', ['-V']).status === 0
const needsStrace = strace ? '' : ' (skipped: strace is not installed)'

describe('the cost of a probe', () => {
  /** The system calls of a process that probes a thousand peers. With 'not' it does all the same without probing. */
  function systemCalls(how: string): number {
    const folder = mkdtempSync(join(tmpdir(), 'deadpeer-strace-'))
    try {
      const summary = join(folder, 'summary')
      const program = [process.execPath, fixture('probe-many.mjs'), how, '1000']
      const answered = execFileSync('strace', ['-f', '-c', '-o', summary, ...program], { encoding: 'utf8' })
      expect(Number(answered)).toBe(how === 'not' ? 0 : 1_000)
      // % time, seconds, microseconds a call, calls, errors, 'total'.
      const [, , , calls] = readFileSync(summary, 'utf8').trim().split('\n').at(-1)!.trim().split(/\s+/)
      return Number(calls)
    } finally {
      rmSync(folder, { recursive: true })
    }
  }

  it.skipIf(!strace)(
    `is at most a fifth more system calls for a thousand single probes than for one probeAll of a thousand${needsStrace}`,
    () => {
      const [nothing, together, singly] = ['not', 'together', 'singly'].map(systemCalls) as [
        number,
        number,
        number,
      ]
      // Each probe needs at least four: sample, write, sample, restore.
      expect(together - nothing).toBeGreaterThan(4 * 1_000)
      expect(singly - nothing).toBeLessThan(1.2 * (together - nothing))
    },
  )
})

describe.runIf(hasNetAdmin)('a process that probes', () => {
  it('is kept running by a pending probe and by nothing else', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [fixture('probe-and-leave.mjs')], {
      timeout: 15_000,
    })
    const { alive, silent, before, after } = JSON.parse(stdout)
    expect({ alive, silent }).toEqual({ alive: 90, silent: 10 })
    expect(after).toBe(before)
  })
})

describe.runIf(hasNetAdmin)('worker threads', () => {
  const start = (workerData: object) => new Worker(fixture('probe-worker.mjs'), { workerData })

  it('each get the right result when they probe at the same time', async () => {
    const workers = [0, 100].map((silent) => start({ count: 1_000, silent }))
    await Promise.all(workers.map((worker) => once(worker, 'message')))
    const asked = workers.map((worker) => once(worker, 'message') as Promise<[string[]]>)
    for (const worker of workers) worker.postMessage('ask')
    const [[first], [second]] = (await Promise.all(asked)) as [[string[]], [string[]]]
    expect(first.filter((evidence) => evidence !== 'ack')).toEqual([])
    expect(second.slice(0, 100).filter((evidence) => evidence !== 'silence')).toEqual([])
    expect(second.slice(100).filter((evidence) => evidence !== 'ack')).toEqual([])
    await Promise.all(workers.map((worker) => worker.terminate()))
  })

  it('can be terminated during a probe without a crash or a leak', async () => {
    const errors: Error[] = []
    const round = async () => {
      const workers = Array.from({ length: 4 }, () =>
        start({ count: 50, silent: 25, endless: true }).on('error', (error) => errors.push(error)),
      )
      await Promise.all(
        workers.map(async (worker, i) => {
          for await (const [what] of on(worker, 'message')) if (what === 'asking') break
          // Each at a different point of its probe: after it left, while it is unacknowledged, between two attempts.
          await new Promise((resolve) => setTimeout(resolve, i * 200))
          await worker.terminate()
        }),
      )
    }
    // Node keeps some descriptors of its own from the first worker on.
    await round()
    const open = readdirSync('/proc/self/fd').length
    for (let i = 0; i < 4; i++) await round()
    expect(errors).toEqual([])
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(open)
  })
})

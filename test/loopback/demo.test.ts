import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import type { Asked, Death, DemoEvent, Name, Opened, Summary } from '../../src/cli/commands/demo/events.js'
import { deadpeer, type Run } from '../support/deadpeer-command.js'
import { hasNetAdmin } from '../support/net-admin.js'

function events(run: Run): DemoEvent[] {
  return run.out.map((line) => JSON.parse(line) as DemoEvent)
}

/** The kernel's timers are late by up to an eighth; how much the demo itself allows for. */
const latest = (predicted: number) => predicted * 1.15 + 100
/** A tick: what the kernel measures silence in (HZ=100). */
const TICK = 10

/** Runs a command without the right to silence peers, also where the test has it; `undefined` where that cannot be had. */
const unprivileged = findUnprivileged()

function findUnprivileged(): string[] | undefined {
  const drop = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-net_admin'] : []
  const [file, ...rest] = [...drop, 'unshare', '-Urn', 'sh', '-c', 'ip link set lo up']
  return spawnSync(file!, rest).status === 0 ? drop : undefined
}

describe.concurrent('deadpeer demo', { timeout: 30_000 }, () => {
  describe.runIf(hasNetAdmin)('with CAP_NET_ADMIN', () => {
    it('prints with --json the end of each connection', async () => {
      const run = await deadpeer(['demo', '--json'])
      expect(run.err).toEqual([])
      const all = events(run)
      expect(run.code, JSON.stringify(all.at(-1))).toBe(0)
      expect(run.took).toBeLessThan(20_000)

      const opened = all.slice(0, 7) as Opened[]
      expect(opened.map(({ event, connection, predicted }) => [event, connection, predicted])).toEqual([
        ['open', 'untouched', null],
        ['open', 'setKeepAlive', 11_000],
        ['open', 'backpressured', 6_000],
        ['open', 'watched', 6_000],
        ['open', 'lan', 6_000],
        ['open', 'kernel', 4_000],
        ['open', 'heartbeat', 2_320],
      ])
      expect(opened[0]!.profile.enable).toBe(false)
      expect(opened[4]!.profile).toMatchObject({
        initialDelay: 3_000,
        interval: 1_000,
        count: 3,
        userTimeout: 6_000,
      })

      const rest = all.slice(7)
      expect(rest[0]).toEqual({ t: 0, event: 'silence' })
      expect(rest.map(({ t }) => t)).toEqual(rest.map(({ t }) => t).sort((a, b) => a - b))

      const deaths = rest.filter(({ event }) => event === 'death') as Death[]
      // A heartbeat is sooner than keepalive with as many probes. The three that are tuned the same die together.
      expect(deaths.slice(0, 2).map(({ connection }) => connection)).toEqual(['heartbeat', 'kernel'])
      expect(
        deaths
          .slice(2, 5)
          .map(({ connection }) => connection)
          .sort(),
      ).toEqual(['backpressured', 'lan', 'watched'])
      const death = (name: Name) => deaths.find(({ connection }) => connection === name)
      expect(death('backpressured')).toMatchObject({ noticed: false, error: null })
      expect(death('watched')).toMatchObject({ noticed: true, error: 'ETIMEDOUT' })
      expect(death('lan')).toMatchObject({ noticed: true, error: 'ETIMEDOUT' })
      for (const { noticed, error } of deaths.slice(0, 2))
        expect([noticed, error]).toEqual([true, 'ETIMEDOUT'])
      expect(deaths[5]).toMatchObject({ connection: 'setKeepAlive', noticed: true, error: 'ETIMEDOUT' })
      for (const { connection, predicted, actual } of deaths) {
        expect(actual, connection).toBeGreaterThanOrEqual(predicted! - TICK)
        expect(actual, connection).toBeLessThanOrEqual(latest(predicted!))
      }

      for (const [name, most] of [
        ['backpressured', 3],
        ['watched', 3],
        ['lan', 3],
        ['kernel', 3],
        ['heartbeat', 3],
        ['setKeepAlive', 10],
        ['untouched', 0],
      ] as const) {
        const unanswered = rest.flatMap((event) =>
          event.event === 'probe' && event.connection === name ? event.unanswered : [],
        )
        expect(unanswered, name).toEqual([...new Set(unanswered)].sort((a, b) => a - b))
        expect(unanswered.at(-1) ?? 0, name).toBe(most)
      }

      expect(rest.find(({ event }) => event === 'vanished')).toMatchObject({
        connections: 2_000,
        vanished: 400,
      })
      const asked = rest.find(({ event }) => event === 'asked') as Asked
      expect(asked).toMatchObject({ answered: 1_600, wrong: 0, untouched: 1_600 })
      expect(asked.silent).toHaveLength(400)
      expect(new Set(asked.silent.map(({ port }) => port)).size).toBe(400)
      for (const each of asked.silent) {
        expect(each).toMatchObject({ evidence: 'silence', attempts: 3 })
        expect(each.idleFor).toBeGreaterThan(1_000)
      }

      expect(rest.filter(({ event }) => event === 'noticed')).toEqual([])
      expect(rest.at(-2)).toMatchObject({ event: 'waiting', connection: 'untouched', predicted: null })
      const { ok, failures, connections, event } = rest.at(-1) as Summary
      expect({ event, ok, failures }).toEqual({ event: 'summary', ok: true, failures: [] })
      expect(connections.map(({ connection, state }) => [connection, state])).toEqual([
        ['untouched', 'open'],
        ['setKeepAlive', 'dead'],
        ['backpressured', 'zombie'],
        ['watched', 'dead'],
        ['lan', 'dead'],
        ['kernel', 'dead'],
        ['heartbeat', 'dead'],
      ])
    })

    it('prints one line for each change into a pipe, without colours', async () => {
      const run = await deadpeer(['demo'])
      expect(run.code, run.out.join('\n')).toBe(0)
      expect(run.out.join('\n')).not.toContain('\x1b')
      expect(run.out).toContainEqual('+0.0 s all peers vanished')
      expect(run.out).toContainEqual(expect.stringMatching(/^\+\d\.\d s lan: 1 probe unanswered$/))
      expect(run.out).toContainEqual(
        expect.stringMatching(/^\+2\.\d s heartbeat: ETIMEDOUT, predicted 2\.3 s$/),
      )
      expect(run.out).toContainEqual(expect.stringMatching(/^\+[67]\.\d s lan: ETIMEDOUT, predicted 6\.0 s$/))
      expect(run.out).toContainEqual(
        expect.stringMatching(
          /^\+[67]\.\d s backpressured: dead in the kernel, Node has not noticed, predicted 6\.0 s$/,
        ),
      )
      expect(run.out).toContainEqual(
        expect.stringMatching(/^\+11\.\d s setKeepAlive: ETIMEDOUT, predicted 11\.0 s$/),
      )
      expect(run.out).toContainEqual(
        expect.stringMatching(/^\+1\d\.\d s untouched: still waiting, predicted never$/),
      )
      expect(run.out).toContainEqual(
        expect.stringMatching(
          /^\+1\d\.\d s pool: 1,600 responded, 400 are unresponsive, known in \d\.\d s; 1,600 untouched$/,
        ),
      )
      expect(run.out).toContainEqual(
        expect.stringMatching(/^pool: port \d+: silence after 3 attempts, last heard \d+\.\d s ago$/),
      )
      expect(run.out).toContainEqual('pool: and 395 more')
      expect(run.out.slice(-2).join('\n')).toContain("tune(socket, 'cloud')")
    })

    it('ends with a Ctrl-C', async () => {
      const run = await deadpeer(['demo'], { interruptAt: 'all peers vanished' })
      expect(run.code).toBe(130)
      expect(run.took).toBeLessThan(6_000)
      expect(run.err).toEqual([])
    })
  })

  describe.runIf(unprivileged)('without CAP_NET_ADMIN', () => {
    it('runs itself again in its own namespace, and passes on the exit code', async () => {
      const run = await deadpeer(['demo', '--json'], { before: unprivileged! })
      expect(run.err).toEqual([])
      expect(run.code, run.out.at(-1)).toBe(0)
      expect(events(run).at(-1)).toMatchObject({ event: 'summary', ok: true })
    })

    it('passes on a Ctrl-C', async () => {
      const run = await deadpeer(['demo'], { before: unprivileged!, interruptAt: 'all peers vanished' })
      expect(run.code).toBe(130)
      expect(run.took).toBeLessThan(6_000)
    })

    it('runs itself again only once', async () => {
      const run = await deadpeer(['demo'], { before: unprivileged!, env: { DEADPEER_DEMO_NAMESPACE: '1' } })
      expect(run).toMatchObject({ code: 1, out: [], err: [expect.stringContaining('CAP_NET_ADMIN')] })
    })
  })

  it('says in one line that it needs the native core', async () => {
    const run = await deadpeer(['demo'], { env: { DEADPEER_NATIVE: 'off' } })
    expect(run).toMatchObject({
      code: 1,
      out: [],
      err: [expect.stringMatching(/^deadpeer: .*Linux with the native core/)],
    })
  })
})

describe.concurrent('a mistyped command', { timeout: 30_000 }, () => {
  it.for(['demo --jsn', 'demo twice', 'dmo', '--demo'])(
    'is a usage error in one line with exit code 2: %s',
    async (args) => {
      const run = await deadpeer(args.split(' '))
      expect(run).toMatchObject({ code: 2, out: [], err: [expect.stringMatching(/^deadpeer: \S/)] })
    },
  )
})

import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { listSockets } from '../../src/host/index.js'
import type { Profile } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { deadpeer, type Run } from '../support/deadpeer-command.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { type Client, type Program, startProgram } from '../support/server-process.js'
import { latest, TICK } from '../support/tolerance.js'
import { until } from '../support/until.js'

// Silent peers. Each has a twin that is not probed.

/** The kernel probes after 25 and 28 s, and ends the connection after 31 s. That leaves a busy machine time to run the command. */
const profile: Profile = { initialDelay: 25_000, interval: 3_000, count: 2 }
const ATTEMPTS = 3

const programs: Program[] = []
afterAll(() => {
  for (const program of programs) program.end()
})

interface Twins {
  readonly program: Program
  /** The probed connection, and its twin. */
  readonly clients: readonly [Client, Client]
  /** Lets the peers of both be heard again. */
  restore(): void
  /** For each, the Date.now() of the first probe that the kernel's own keepalive timer sent and that was dropped. The attempts of deadpeer come before it. */
  readonly firstProbes: readonly [Promise<number>, Promise<number>]
  /** ms since both peers were last heard. */
  silence(): number
  probe(args: readonly string[], options?: Parameters<typeof deadpeer>[1]): Promise<Run>
}

async function silentTwins(tuned: Profile): Promise<Twins> {
  const program = await startProgram()
  programs.push(program)
  const clients = (await program.connect(2)) as [Client, Client]
  for (const { port } of clients) await program.ask('tune', port, tuned)
  await Promise.all(clients.map((client) => client.echo('heard')))
  const heardAt = performance.now()
  const holes = clients.map(({ socket }) => blackHole(socket))
  const swallowed = ({ socket }: Client, segments: number) =>
    blackHole(socket, { segments }).done.then(Date.now)
  // A probe skips a peer that was heard within the last second.
  await program.idle()
  return {
    program,
    clients,
    restore() {
      for (const hole of holes) hole.restore()
    },
    firstProbes: [swallowed(clients[0], ATTEMPTS + 1), swallowed(clients[1], 1)],
    silence: () => performance.now() - heardAt,
    probe: (args, options) =>
      deadpeer(['probe', '--pid', String(program.pid), '--port', String(clients[0].port), ...args], options),
  }
}

/** The ms until the kernel sends the next probe; `undefined` while its timer is not armed. */
async function expiryOf({ port, socket }: Client): Promise<number | undefined> {
  // Other connections of this machine may have the same port at one end.
  const [record] = await listSockets({ remotePort: port, localPort: socket.remotePort! })
  return record!.expires
}

interface Ending {
  readonly port: number
  /** ms since the first probe of the connection. */
  readonly at: number
  readonly error: string
}

async function endingsOf({ program, clients, firstProbes }: Twins): Promise<Ending[]> {
  let endings: Ending[] = []
  while (endings.length < clients.length) {
    await delay(50)
    endings = await program.ask('endings')
  }
  const probed = await Promise.all(firstProbes)
  return clients.map(({ port }, i) => {
    const ending = endings.find((each) => each.port === port)!
    return { ...ending, at: ending.at - probed[i]! }
  })
}

const waits = (most: string) =>
  expect.stringMatching(
    new RegExp(
      `^deadpeer: 1 peer does not respond\\. Options stay raised .* Waiting ${most} at most\\. Ctrl-C`,
    ),
  )
const silent = [expect.objectContaining({ alive: false, evidence: 'silence', attempts: ATTEMPTS })]
const json = ({ out }: Run) => JSON.parse(out.join('\n'))

describe.runIf(hasNetAdmin).concurrent('deadpeer probe of an unresponsive peer', { timeout: 90_000 }, () => {
  it.each<{ option: string; tuned: Profile }>([
    { option: 'count', tuned: profile },
    { option: 'user timeout', tuned: { ...profile, userTimeout: 30_900 } },
  ])(
    'reports the unresponsive peer and waits, so that the connection ends no sooner than an identical one that was not probed ($option)',
    async ({ tuned }) => {
      const twins = await silentTwins(tuned)
      const run = await twins.probe(['--json'])
      expect({ ...run, found: json(run) }).toMatchObject({
        code: 1,
        err: [waits('\\d\\d? s')],
        found: silent,
      })
      // The result is printed after three attempts, 510 ms apart. The connection ends many seconds later.
      expect(run.took - run.firstWord!).toBeGreaterThan(2_000)
      const [asked, other] = await endingsOf(twins)
      expect([asked!.error, other!.error]).toEqual(['ETIMEDOUT', 'ETIMEDOUT'])
      // The connection ends two intervals after the first probe, and each may be late by an eighth. The time of the first probe depends on the timer of
      // 25 s.
      for (const { at } of [asked!, other!]) {
        expect(at).toBeGreaterThan(2 * profile.interval! - 2 * TICK)
        expect(at).toBeLessThan(latest(2 * profile.interval!))
      }
    },
  )

  it('keeps a connection open and restores its options if the peer is heard just before the end', async () => {
    const twins = await silentTwins(profile)
    const before = await twins.program.profiles()
    const running = twins.probe([])
    // The peer acknowledges the second and last probe. A timer of 25 s may be 2 s late, so the time of the first probe cannot be predicted. On a busy
    // machine the kernel counts a probe as sent some time before it arrives.
    twins.restore()
    await twins.firstProbes[0]
    let next = Number.NaN
    await until(async () => {
      const now = twins.silence()
      // The kernel sends a probe and then arms its timer again.
      next = now + ((await expiryOf(twins.clients[0])) ?? Number.NaN)
      return next > now
    })
    const run = await running
    expect(run).toMatchObject({ code: 1, err: [waits('\\d+ s'), 'deadpeer: 1 responded after all'] })
    // The peer acknowledged the second probe, and nothing before it. A tick of the kernel is at most 10 ms.
    expect(twins.silence()).toBeGreaterThan(next - 10)
    expect(await twins.program.ask('endings')).toEqual([])
    expect(await twins.program.profiles()).toEqual(before)
    await Promise.all(twins.clients.map((client) => client.echo('still here')))
  })

  it('restores the options at a Ctrl-C while it waits, and exits with 130', async () => {
    // The connection ends more than 60 s later, which is the longest wait by default, even if the three attempts take a while.
    const twins = await silentTwins({ ...profile, initialDelay: 120_000 })
    const before = await twins.program.profiles()
    const run = await twins.probe(['--json'], {
      interruptWhen: async (out) => {
        while (out().at(-1) !== ']') await delay(10)
        // The command does not end by itself.
        await delay(300)
        expect(await twins.program.profiles()).not.toEqual(before)
      },
    })
    expect(run).toMatchObject({ code: 130, err: [waits('60 s')] })
    expect(json(run)).toEqual(silent)
    expect(await twins.program.profiles()).toEqual(before)
  })

  it.each(['1s', '0s'])(
    'waits no longer than --wait %s, and reports that the connection may end sooner',
    async (wait) => {
      const twins = await silentTwins({ ...profile, initialDelay: 60_000 })
      const before = await twins.program.profiles()
      const run = await twins.probe(['--wait', wait, '--json'])
      expect(run.code).toBe(1)
      expect(json(run)).toEqual(silent)
      expect(run.err).toEqual([
        ...(wait === '0s' ? [] : [waits('1 s')]),
        expect.stringMatching(
          /^deadpeer: 1 peer does not respond, and its options were restored; .* may end sooner/,
        ),
      ])
      expect(run.took - run.firstWord!).toBeGreaterThan(wait === '0s' ? 0 : 1_000)
      expect(await twins.program.profiles()).toEqual(before)
    },
  )
})

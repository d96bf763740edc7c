import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { endingOf, type Suspect } from '../../src/cli/lib/suspect-end.js'
import type { SocketTimer } from '../../src/host/index.js'
import { blackHole } from '../../src/testing/index.js'
import { deadpeer, inTerminal } from '../support/deadpeer-command.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { type Client, type Program, startProgram } from '../support/server-process.js'
import { until } from '../support/until.js'

let program: Program
let clients: Client[]

beforeAll(async () => {
  program = await startProgram()
  clients = await program.connect(8)
})
afterAll(() => program.end())

const patient = { initialDelay: 1_000, interval: 1_000, count: 20 }
const events = (lines: readonly string[], { port }: Client) =>
  lines.map((line) => JSON.parse(line)).filter(({ remote }) => remote.port === port)

describe.runIf(hasNetAdmin)('deadpeer watch', () => {
  it('prints one line for each change, with reason and process, until Ctrl-C', async () => {
    // Two plain connections alternate with two over TLS. The connection that is reset must be plain.
    const [zombie, busy, deaf, closed, restarted, written] = clients as [
      ...[Client, Client, Client, Client, Client, Client],
    ]
    await program.ask('stall', zombie.port)
    await program.ask('tune', zombie.port, { ...patient, count: 2 })
    await program.ask('tune', busy.port, { userTimeout: 2_000 })
    for (const { port } of [deaf, restarted, closed, written]) await program.ask('tune', port, patient)
    const [, , hole] = [zombie, busy, deaf, restarted, closed, written].map(({ socket }) => blackHole(socket))

    const watched = deadpeer(['watch', '--pid', String(program.pid), '--every', '100ms', '--jsonl'], {
      interruptWhen: async (out) => {
        const isSuspect = (client: Client) => events(out(), client).length > 0
        const isOver = (client: Client) => events(out(), client).length > 1
        await until(() => [zombie, deaf, restarted, closed, written].every(isSuspect))
        await program.ask('write', busy.port, 'anybody?')
        // The kernel's list counts no unacknowledged retransmission until the data is sent again.
        await program.ask('write', written.port, 'anybody?')
        hole!.restore()
        restarted.socket.resetAndDestroy()
        await program.ask('close', closed.port)
        await until(() => [zombie, busy, deaf, restarted, closed].every(isOver), 20_000)
      },
    })
    const run = await watched
    expect(run).toMatchObject({ code: 130, err: [] })
    const eventsOf = (client: Client) => events(run.out, client).map(({ event }) => event)
    expect(eventsOf(zombie)).toEqual(['suspect', 'dead'])
    expect(eventsOf(busy)).toEqual(['suspect', 'dead'])
    expect(eventsOf(deaf)).toEqual(['suspect', 'recover'])
    expect(eventsOf(restarted)).toEqual(['suspect', 'gone'])
    expect(eventsOf(closed)).toEqual(['suspect', 'closing'])
    expect(eventsOf(written)).toEqual(['suspect'])
    const last = (client: Client) => events(run.out, client)[1]
    expect(last(zombie)).toMatchObject({
      reason: 'keepalive',
      isNoticed: false,
      processes: [{ pid: program.pid }],
    })
    expect(last(zombie).evidence).toMatch(/^2 probes unanswered, silent for \d\.\d s$/)
    expect(last(busy)).toMatchObject({ reason: 'user-timeout', isNoticed: true })
    expect(await program.ask('errors')).toEqual(expect.arrayContaining(['ETIMEDOUT', 'ECONNRESET']))
  })

  it('prints lines into a pipe, and redraws a table in a terminal until the watched process ends', async () => {
    const other = await startProgram()
    const [client] = (await other.connect(1)) as [Client]
    await other.ask('tune', client.port, patient)
    using _hole = blackHole(client.socket)
    const args = ['watch', '--pid', String(other.pid), '--every', '100ms']
    const piped = deadpeer(args, { interruptWhen: (out) => until(() => out().length > 0) })
    const shown = inTerminal(args)
    expect((await piped).out[0]).toMatch(
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ {2}suspect {2}127\.0\.0\.1:\d+ → 127\.0\.0\.1:\d+ {2}node\(\d+:\d+\) {2}\d probes? unanswered, /,
    )
    // Leaves time for several redraws.
    await delay(1_500)
    other.end()
    const run = await shown
    expect(run.code).toBe(0)
    const text = run.out.join('\n')
    expect(text).toMatch(/sampling \d+ connections for those of process \d+: 1 peer does not respond/)
    expect(text).toMatch(/LOCAL +PEER +TIMER +HEARD +PROCESS/)
    // Each redraw overwrites the lines in place. At the end the cursor is visible again.
    expect(text.split('\x1b[K').length).toBeGreaterThan(20)
    expect(text.lastIndexOf('\x1b[?25h')).toBeGreaterThan(text.lastIndexOf('\x1b[?25l'))
  })

  it('restores the cursor at a Ctrl-C in a terminal, and exits with 130', async () => {
    const run = await inTerminal(['watch', '--pid', String(program.pid), '--every', '100ms'], {
      answers: ['connections', '\x03'],
    })
    expect(run.code).toBe(130)
    const text = run.out.join('\n')
    expect(text.lastIndexOf('\x1b[?25h')).toBeGreaterThan(text.lastIndexOf('\x1b[?25l'))
  })
})

describe('a suspect connection that disappeared from the list', () => {
  const suspect = (timer: SocketTimer, retries: number) =>
    ({
      record: {
        timer,
        retries,
        expires: timer === 'off' ? undefined : 10,
        info: { probes: 1, retransmits: 0 },
      },
      owners: [],
      profile: undefined,
      sampledAt: 0,
    }) as unknown as Suspect

  it.each([
    { timer: 'keepalive', retries: 1, event: 'dead' },
    { timer: 'retransmit', retries: 3, event: 'dead' },
    { timer: 'off', retries: 0, event: 'gone' },
    { timer: 'retransmit', retries: 0, event: 'gone' },
  ] as const)(
    'is $event if its timer was $timer, with $retries unacknowledged',
    ({ timer, retries, event }) => {
      expect(endingOf(suspect(timer, retries), 1_000)?.event).toBe(event)
    },
  )
})

describe.concurrent('deadpeer watch with bad input', () => {
  it.for<{ args: string; message: string }>([
    { args: 'watch --pid 4194305', message: 'there is no process 4194305' },
    { args: 'watch --every 50ms', message: 'must be a time from 100ms to 1d; got' },
    { args: 'watch --every 5', message: 'must be a number with a unit' },
    { args: 'watch 10.0.0.0/33', message: "must be 0 to 32 for IPv4; got '10.0.0.0/33'" },
    { args: 'watch --json', message: "unknown option '--json'" },
  ])('refuses `$args` in one line, with exit code 2', async ({ args, message }) => {
    const run = await deadpeer(args.split(' '))
    expect(run).toMatchObject({ code: 2, out: [], err: [expect.stringContaining(message)] })
  })
})

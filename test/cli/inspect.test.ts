import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { blackHole } from '../../src/testing/index.js'
import { deadpeer } from '../support/deadpeer-command.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { type Client, type Program, startProgram } from '../support/server-process.js'

let program: Program
let clients: Client[]

beforeAll(async () => {
  program = await startProgram()
  clients = await program.connect(4)
})
afterAll(() => program.end())

const ends = ({ socket }: Client) => {
  const bracket = (address?: string) => (address!.includes(':') ? `[${address}]` : address)
  return `${bracket(socket.remoteAddress)}:${socket.remotePort}-${bracket(socket.localAddress)}:${socket.localPort}`
}
// biome-ignore lint/suspicious/noExplicitAny: what the shell prints
const json = (lines: readonly string[]): any => JSON.parse(lines.join('\n'))

describe('deadpeer inspect', () => {
  it('prints the options that the program reads, by descriptor and by addresses, over IPv4, IPv6 and TLS', async () => {
    for (const client of clients) {
      const fd = await program.ask('fd', client.port)
      const byDescriptor = await deadpeer(['inspect', `${program.pid}:${fd}`, '--json'])
      const byEnds = await deadpeer(['inspect', ends(client), '--json'])
      expect(byDescriptor).toMatchObject({ code: 0, err: [] })
      const [one, other] = [json(byDescriptor.out), json(byEnds.out)]
      expect(one.cookie).toBe(other.cookie)
      expect(one.processes).toEqual([{ pid: program.pid, command: 'node', fd }])
      expect(one).toMatchObject({
        state: 'established',
        verdict: 'alive',
        timeLeft: { ms: null, isExact: true },
      })
      expect(one.profile).toEqual(await program.ask('profile', client.port))
      expect(one.info.segsIn).toBeGreaterThan(0)
    }
  })

  it('explains a connection in words', async () => {
    const [client] = clients as [Client]
    const run = await deadpeer(['inspect', ends(client)])
    expect(run).toMatchObject({ code: 0, err: [] })
    expect(run.out[0]).toMatch(
      /^ESTAB {2}127\.0\.0\.1:\d+ → 127\.0\.0\.1:\d+ {2}node\(\d+:\d+\) {2}alive: heard \d+\.\d s ago$/,
    )
    const lines = run.out.map((line) => line.trim().replaceAll(/ {2,}/g, ' | '))
    expect(lines).toContain("enable | off | SO_KEEPALIVE | as the system's")
    expect(lines).toContain('if it is gone | the death is never noticed: keepalive is off')
    expect(lines.filter((line) => /^(options|peer|path|traffic)$/.test(line))).toHaveLength(4)
  })

  it('shows the listener of a port, or says in one line how to choose a connection', async () => {
    const [{ socket, port }] = clients as [Client]
    const server = await deadpeer(['inspect', String(socket.remotePort)])
    // The listener and the connection that it has accepted.
    expect(server.out[0]).toContain(`:${socket.remotePort} → 127.0.0.1:${port}`)
    await program.connect(4)
    const several = await deadpeer(['inspect', String(socket.remotePort)])
    expect(several).toMatchObject({ code: 2, out: [] })
    expect(several.err).toEqual([
      expect.stringMatching(
        /^deadpeer: \d connections have the port \d+\. Name one by <pid>:<fd> or <local>-<remote>, as in deadpeer ls --port \d+ --state all/,
      ),
    ])
  })

  it.runIf(hasNetAdmin)(
    'says why the kernel gave up a connection that it no longer lists, and exits with 1',
    async () => {
      const [client] = (await program.connect(1)) as [Client]
      const fd = await program.ask('fd', client.port)
      // Backpressured, so that Node does not poll the socket.
      await program.ask('stall', client.port)
      const tuned = { initialDelay: 1_000, interval: 1_000, count: 1 }
      await program.ask('tune', client.port, tuned)
      using _hole = blackHole(client.socket)
      let run = await deadpeer(['inspect', `${program.pid}:${fd}`, '--json'])
      while (json(run.out).state !== 'close')
        run = await deadpeer(['inspect', `${program.pid}:${fd}`, '--json'])
      expect(run.code).toBe(1)
      expect(json(run.out)).toMatchObject({
        verdict: 'dead',
        evidence: 'closed by the kernel with 1 probe unanswered',
      })
      const { out } = await deadpeer(['inspect', `${program.pid}:${fd}`])
      expect(out[0]).toBe('CLOSE  dead: closed by the kernel with 1 probe unanswered')
    },
  )
})

describe.concurrent('deadpeer inspect with bad input', () => {
  it.for<{ args: string; message: string }>([
    { args: 'inspect', message: '<connection> is missing; --help shows what this command takes' },
    { args: 'inspect here', message: '<connection> must be <pid>:<fd> as ls shows it, <local>-<remote>' },
    { args: 'inspect 4194305:3', message: 'there is no process 4194305' },
    { args: 'inspect 0:3', message: 'there is no process 0' },
    { args: `inspect ${process.pid}:999999`, message: 'has no descriptor 999999' },
    { args: 'inspect 0', message: "or a port from 1 to 65535; got '0'" },
    { args: 'inspect 127.0.0.1:1-127.0.0.1:2', message: 'there is no connection 127.0.0.1:1 → 127.0.0.1:2' },
    { args: 'inspect ::1:5-::1:6', message: '<connection> must be' },
  ])('refuses `$args` in one line, with exit code 2', async ({ args, message }) => {
    const run = await deadpeer(args.split(' '))
    expect(run).toMatchObject({ code: 2, out: [], err: [expect.stringContaining(message)] })
  })
})

import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Profile, profiles } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { deadpeer } from '../support/deadpeer-command.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { type Client, type Program, startProgram } from '../support/server-process.js'
import { hasTmux, Terminal } from '../support/terminal.js'

// Every command runs against a program with 2,000 connections, plain and TLS, IPv4 and IPv6, that goes on serving requests. The output goes to a
// pipe, or to a terminal, where the tests read the screen.

const COUNT = 2_000
let program: Program
let clients: Client[]
let silent: Client[]
let speaking: Client[]
let alone: { client: Client; address: string }
const ours = () => ['--pid', String(program.pid)]
// biome-ignore lint/suspicious/noExplicitAny: what the shell prints
const jsonl = (lines: readonly string[]): any[] => lines.map((line) => JSON.parse(line))
const portsOf = (some: readonly Client[]) => some.map(({ port }) => port).sort()

beforeAll(async () => {
  program = await startProgram()
  alone = await program.connectAlone()
  clients = [...(await program.connect(COUNT - 1)), alone.client]
  silent = clients.filter((_, i) => i % 37 === 0)
  speaking = clients.filter((client) => !silent.includes(client))
}, 120_000)
afterAll(() => program.end())

/** Sends requests over some connections of each kind while `run` runs. Returns the number of responses. */
async function serving(run: () => Promise<void>): Promise<number> {
  const busy = speaking.slice(0, 8)
  let isOver = false
  let served = 0
  const loops = busy.map(async (client) => {
    for (; !isOver; served++) await client.echo('request')
  })
  try {
    await run()
  } finally {
    isOver = true
    await Promise.all(loops)
  }
  return served
}

/** The program's connections in ss: state, queues, ends, descriptor, inode, cookie. */
function ss(): string[] {
  const lines = execFileSync('ss', ['-Htnope'], { encoding: 'utf8', maxBuffer: 1e8 }).split('\n')
  return lines.flatMap((line) => {
    const [, fd] = new RegExp(`pid=${program.pid},fd=(\\d+)`).exec(line) ?? []
    if (fd === undefined) return []
    const [state, received, sent, local, remote] = line.split(/\s+/)
    const [, inode] = /ino:(\d+)/.exec(line)!
    const [, cookie] = /sk:(\w+)/.exec(line)!
    return [[state, received, sent, local, remote, fd, inode, BigInt(`0x${cookie}`)].join(' ')]
  })
}

const end = ({ address, port }: { address: string; port: number }) =>
  `${address.includes(':') ? `[${address}]` : address}:${port}`

describe('a program that goes on serving 2,000 connections', () => {
  it('is listed by ls with the same connections as by ss, and with the options that the program reads', async () => {
    const run = await deadpeer(['ls', ...ours(), '--options', '--jsonl'])
    expect(run).toMatchObject({ code: 0, err: [] })
    const found = jsonl(run.out)
    const listed = found.map(({ receiveQueue, sendQueue, local, remote, processes, inode, cookie }) =>
      ['ESTAB', receiveQueue, sendQueue, end(local), end(remote), processes[0].fd, inode, cookie].join(' '),
    )
    expect(listed.sort()).toEqual(ss().sort())
    expect(listed).toHaveLength(COUNT)
    expect(new Map(found.map(({ remote, profile }) => [remote.port, profile]))).toEqual(
      await program.profiles(),
    )
  })

  it('reads back the options that tune has set', async () => {
    const served = await serving(async () => {
      const run = await deadpeer(['tune', ...ours(), '--profile', 'cloud', '--jsonl'])
      expect(run).toMatchObject({ code: 0, err: [] })
      expect(run.out).toHaveLength(COUNT)
    })
    expect(served).toBeGreaterThan(100)
    const inside = [...(await program.profiles()).values()]
    expect(inside).toEqual(clients.map(() => expect.objectContaining(profiles.cloud)))
    expect(await program.ask('errors')).toEqual([])
  })

  it.runIf(hasNetAdmin)(
    'finds exactly the connections with unresponsive peers by probing, and restores all options',
    { timeout: 90_000 },
    async () => {
      // The peers were just heard, so that the kernel sends no keepalive probe of its own.
      await Promise.all(clients.map((client) => client.echo('heard')))
      const holes = silent.map(({ socket }) => blackHole(socket))
      const before = await program.profiles()
      await program.idle()
      const served = await serving(async () => {
        const run = await deadpeer(['probe', ...ours(), '--jsonl'])
        expect(run.code).toBe(1)
        const answers = jsonl(run.out)
        expect(answers).toHaveLength(COUNT)
        const unanswered = answers.filter(({ alive }) => alive === false)
        expect(portsOf(unanswered.map(({ remote }) => remote))).toEqual(portsOf(silent))
        expect(answers.filter(({ alive }) => alive === true)).toHaveLength(speaking.length)
        // The user timeout of a preset is as long as its keepalive takes. The connection outlasts our probes without a raised option.
        expect(run.err).toEqual([])
      })
      expect(served).toBeGreaterThan(100)
      for (const hole of holes) hole.restore()
      expect(await program.profiles()).toEqual(before)
      await Promise.all(clients.map((client) => client.echo('still here')))
      expect(await program.ask('errors')).toEqual([])
    },
  )
})

const patient: Profile = { enable: true, initialDelay: 60_000, interval: 20_000, count: 5, userTimeout: 0 }

describe.runIf(hasTmux)('a terminal', () => {
  it('shows ls as a table, with colour only for connections in trouble', async () => {
    using terminal = new Terminal(['ls', ...ours(), '--options'])
    expect(await terminal.ends()).toBe(0)
    const lines = terminal.all()
    expect(lines[0]).toMatch(/^STATE +RECV-Q +SEND-Q +LOCAL +PEER .* KEEPALIVE +USER-TIMEOUT +PROCESS$/)
    expect(lines.filter((line) => /^ESTAB .* 30s\/10s\/3 +1m +node\(\d+:\d+\)$/.test(line))).toHaveLength(
      COUNT,
    )
    expect(lines).toHaveLength(COUNT + 1)
    expect(terminal.screen({ colours: true }).join('\n')).not.toContain('\x1b[33m')
  })

  it('shows the output of inspect for a descriptor', async () => {
    const fd = await program.ask('fd', speaking[0]!.port)
    using terminal = new Terminal(['inspect', `${program.pid}:${fd}`])
    expect(await terminal.ends()).toBe(0)
    const screen = terminal.screen()
    expect(screen[0]).toMatch(new RegExp(`^ESTAB  .* node\\(${program.pid}:${fd}\\)  alive: `))
    expect(screen.join('\n')).toMatch(/initialDelay +30s +TCP_KEEPIDLE +set/)
  })

  it('shows the question that tune asks about two processes, and tune continues after yes', async () => {
    const { address, client } = alone
    const { port } = client
    const args = [
      'tune',
      address,
      '--port',
      String(port),
      '--idle',
      '60s',
      '--interval',
      '20s',
      '--count',
      '5',
      '--user-timeout',
      '0s',
    ]
    using terminal = new Terminal(args)
    await terminal.shows(/^Tune 2 connections of 2 processes\? \[y\/N\]/)
    expect(await program.ask('profile', port)).toMatchObject(profiles.cloud)
    terminal.type('y', 'Enter')
    expect(await terminal.ends()).toBe(0)
    expect(terminal.screen().at(-1)).toBe('2 tuned')
    expect(await program.ask('profile', port)).toMatchObject(patient)
  })

  it('shows what doctor finds, and in which process', async () => {
    using terminal = new Terminal(['doctor', ...ours(), '--hop', 'nat=20s'])
    expect(await terminal.ends()).toBe(1)
    const text = terminal.all().join('\n')
    expect(text).toContain(`${COUNT.toLocaleString('en')} connections examined`)
    expect(text).toMatch(
      new RegExp(`error: 1,999 connections of node\\(${program.pid}, Node ${process.versions.node}\\)`),
    )
  })

  it.runIf(hasNetAdmin)(
    'shows the progress of probe after a second and erases it, then the table and the wait, which Ctrl-C ends',
    async () => {
      const client = speaking[4]!
      await program.ask('tune', client.port, patient)
      await Promise.all(clients.map((each) => each.echo('heard')))
      using hole = blackHole(client.socket)
      await program.idle()
      const before = await program.profiles()
      using terminal = new Terminal(['probe', ...ours(), '--port', String(client.port), '--timeout', '1s'])
      await terminal.shows(/^probing: 0 of 1, [123] s$/)
      await terminal.shows(/^0 alive, 1 unresponsive, 0 not known$/)
      await terminal.shows(/^waiting for 1 connection, [1-9] s$/)
      const seen = terminal.screen()
      expect(seen.some((line) => line.startsWith('probing'))).toBe(false)
      expect(seen[1]).toMatch(/^unresponsive +silence +- /)
      expect(seen.join(' ')).toMatch(/1 peer does not respond. Options stay raised/)
      expect(await program.profiles()).not.toEqual(before)
      terminal.type('C-c')
      expect(await terminal.ends()).toBe(130)
      expect(terminal.screen().some((line) => line.startsWith('waiting for 1'))).toBe(false)
      expect(await program.profiles()).toEqual(before)
      hole.restore()
      await client.echo('still here')
    },
  )

  it.runIf(hasNetAdmin)(
    'redraws watch in place, also after a resize, and shows the cursor again after Ctrl-C',
    async () => {
      const client = speaking[5]!
      await program.ask('tune', client.port, {
        initialDelay: 1_000,
        interval: 1_000,
        count: 50,
        userTimeout: 0,
      })
      const hole = blackHole(client.socket)
      using terminal = new Terminal(['watch', ...ours(), '--every', '200ms'], { rows: 20, columns: 150 })
      await terminal.shows(new RegExp(`:${client.port} +keepalive`))
      expect(terminal.hasCursor).toBe(false)
      terminal.resize(100, 30)
      hole.restore()
      await terminal.shows(/^sampling \d+ connections for those of process \d+: 0 peers do not respond$/)
      await terminal.shows(/ recover /)
      const screen = terminal.screen()
      expect(screen.filter((line) => line.startsWith('sampling'))).toHaveLength(1)
      expect(Math.max(...screen.map((line) => line.length))).toBeLessThan(100)
      terminal.type('C-c')
      expect(await terminal.ends()).toBe(130)
      expect(terminal.hasCursor).toBe(true)
    },
  )
})

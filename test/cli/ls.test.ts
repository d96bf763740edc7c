import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { blackHole } from '../../src/testing/index.js'
import { deadpeer, inTerminal } from '../support/deadpeer-command.js'
import { hasNetAdmin } from '../support/net-admin.js'
import {
  type Client,
  canDropCapabilities,
  type Program,
  startProgram,
  withoutCapabilities,
} from '../support/server-process.js'

const COUNT = 200
let program: Program
let clients: Client[]
const ours = () => ['--pid', String(program.pid)]

beforeAll(async () => {
  program = await startProgram()
  clients = await program.connect(COUNT)
})
afterAll(() => program.end())

// biome-ignore lint/suspicious/noExplicitAny: what the shell prints
const jsonl = (lines: readonly string[]): any[] => lines.map((line) => JSON.parse(line))

const end = ({ address, port }: { address: string; port: number }) =>
  `${address.includes(':') ? `[${address}]` : address}:${port}`

/** The sockets of a process in `ss -tnope`, one a line: state, ends, descriptor, inode, cookie. */
function ss(pid: number): string[] {
  const lines = execFileSync('ss', ['-Htnope'], { encoding: 'utf8', maxBuffer: 1e8 }).split('\n')
  return lines.flatMap((line) => {
    const [, fd] = new RegExp(`pid=${pid},fd=(\\d+)`).exec(line) ?? []
    if (fd === undefined) return []
    const [state, , , local, remote] = line.split(/\s+/)
    const [, inode] = /ino:(\d+)/.exec(line)!
    const [, cookie] = /sk:(\w+)/.exec(line)!
    return [[state, local, remote, fd, inode, BigInt(`0x${cookie}`)].join(' ')]
  })
}

describe('deadpeer ls', () => {
  it('lists what ss lists', async () => {
    const run = await deadpeer(['ls', ...ours(), '--jsonl'])
    expect(run).toMatchObject({ code: 0, err: [] })
    const listed = jsonl(run.out).map(({ state, local, remote, processes: [{ pid, fd }], inode, cookie }) => {
      expect(pid).toBe(program.pid)
      expect(state).toBe('established')
      return ['ESTAB', end(local), end(remote), fd, inode, cookie].join(' ')
    })
    expect(listed.sort()).toEqual(ss(program.pid).sort())
    expect(listed).toHaveLength(COUNT)
  })

  it('shows with --options the values that the program reads for each connection', async () => {
    const run = await deadpeer(['ls', ...ours(), '--options', '--json'])
    const listed = JSON.parse(run.out.join('\n'))
    expect(
      new Map(listed.map(({ remote, profile }: never) => [(remote as { port: number }).port, profile])),
    ).toEqual(await program.profiles())
  })

  it('filters by port and prefix of either end, and by state', async () => {
    const [{ port, socket }] = clients as [Client]
    const atPort = jsonl((await deadpeer(['ls', '--port', String(port), '--jsonl'])).out)
    expect(atPort.every(({ local, remote }) => [local.port, remote.port].includes(port))).toBe(true)
    // Both ends are on this host. Another program may use the same port with another peer.
    const serverPort = socket.remotePort!
    const both = atPort.filter(({ local, remote }) => [local.port, remote.port].includes(serverPort))
    expect(both.map(({ local }) => local.port).sort()).toEqual([port, serverPort].sort())
    const ipv6 = jsonl((await deadpeer(['ls', '::1', ...ours(), '--jsonl'])).out)
    expect(ipv6).toHaveLength(COUNT / 2)
    expect(ipv6.every(({ family, local }) => family === 'ipv6' && local.address === '::1')).toBe(true)
    const listening = jsonl((await deadpeer(['ls', ...ours(), '--state', 'listen', '--jsonl'])).out)
    expect(listening.map(({ local }) => local.address).sort()).toEqual([
      '127.0.0.1',
      '127.0.0.1',
      '::1',
      '::1',
    ])
    const all = await deadpeer(['ls', ...ours(), '--state', 'all', '--jsonl'])
    expect(all.out).toHaveLength(COUNT + 4)
  })

  it.runIf(hasNetAdmin)('lists connections in trouble first, in colour only in a terminal', async () => {
    const { port, socket } = clients[5]!
    using _hole = blackHole(socket)
    await program.ask('write', port, 'anybody?')
    // The data counts as unacknowledged after its first retransmission, at least 200 ms later.
    const suspects = async () => jsonl((await deadpeer(['ls', ...ours(), '--suspect', '--jsonl'])).out)
    let found = await suspects()
    while (found.length === 0) found = await suspects()
    expect(found).toEqual([expect.objectContaining({ verdict: 'suspect', timer: 'retransmit' })])
    expect(found[0].remote.port).toBe(port)
    expect(found[0].evidence).toMatch(/^\d retransmissions? unanswered, silent for /)

    const piped = await deadpeer(['ls', ...ours()])
    expect(piped.out[0]).toMatch(
      /^STATE +RECV-Q +SEND-Q +LOCAL +PEER +TIMER +PROBES +RETRANS +HEARD +VERDICT +PROCESS$/,
    )
    expect(piped.out[1]).toMatch(
      new RegExp(`^ESTAB +0 +\\d+ .*:${port} +retransmit .* suspect +node\\(${program.pid}:\\d+\\)$`),
    )
    expect(piped.out.slice(2).some((line) => line.includes('suspect'))).toBe(false)
    expect(piped.out).toHaveLength(COUNT + 1)

    const shown = await inTerminal(['ls', ...ours()])
    expect(shown.out[1]).toContain('\x1b[33mESTAB')
    const plain = await inTerminal(['ls', ...ours()], { env: { NO_COLOR: '1' } })
    // On a busy machine the command shows progress before the table, and erases it.
    const table = plain.out.map((line) => line.split('\x1b[K').at(-1))
    expect(table.join('')).not.toContain('\x1b[')
  })

  it('explains the exit codes in its help, with examples', async () => {
    const { code, out } = await deadpeer(['ls', '--help'])
    expect(code).toBe(0)
    expect(out.join('\n')).toMatch(/deadpeer ls --suspect .*[\s\S]*Exit code: 0; 2 for bad input/)
  })
})

describe.runIf(canDropCapabilities)('deadpeer ls without privileges', () => {
  it('lists the connections of the user, with options', async () => {
    const own = await startProgram(withoutCapabilities)
    try {
      await own.connect(4)
      const run = await deadpeer(['ls', '--pid', String(own.pid), '--options', '--jsonl'], {
        before: withoutCapabilities,
      })
      expect(run).toMatchObject({ code: 0, err: [] })
      expect(new Map(jsonl(run.out).map(({ remote, profile }) => [remote.port, profile]))).toEqual(
        await own.profiles(),
      )
    } finally {
      own.end()
    }
  })

  it('names in one line the permission for connections of other users', async () => {
    const one = await deadpeer(['ls', ...ours()], { before: withoutCapabilities })
    expect(one).toMatchObject({ code: 2, out: [] })
    expect(one.err).toEqual([
      expect.stringMatching(
        /^deadpeer: not permitted to see the descriptors of process \d+ \(uid 0, EACCES\): run as /,
      ),
    ])
    const all = await deadpeer(['ls', '--port', String(clients[0]!.port)], { before: withoutCapabilities })
    expect(all.code).toBe(0)
    expect(all.out.length).toBeGreaterThanOrEqual(3)
    expect(all.err).toEqual([
      expect.stringMatching(/^deadpeer: not permitted to see the owning process of \d+ of these: /),
    ])
  })
})

describe.concurrent('deadpeer ls with bad input', () => {
  it.for<{ args: string; message: string }>([
    { args: 'ls --pid 0', message: "--pid must be a whole number from 1 to 2147483647; got '0'" },
    { args: 'ls --pid 4194305', message: 'there is no process 4194305' },
    { args: 'ls --pid -1', message: '--pid must be a whole number from 1 to 2147483647' },
    { args: 'ls --pid 1 --pid 2', message: "option '--pid <pid>' is given twice" },
    { args: 'ls --port 65536', message: "--port must be a whole number from 1 to 65535; got '65536'" },
    { args: 'ls --state open', message: '--state must be one of established, ' },
    {
      args: 'ls 10.0.0.0/33',
      message: "deadpeer: The length of <prefix> must be 0 to 32 for IPv4; got '10.0.0.0/33'.",
    },
    {
      args: 'ls nowhere',
      message:
        "deadpeer: <prefix> must be an address or a prefix such as '10.0.0.0/8' or '2001:db8::/32'; got 'nowhere'.",
    },
    { args: 'ls ::1 ::2', message: 'too many arguments' },
    { args: 'ls --nothing', message: "unknown option '--nothing'" },
    { args: 'ls --json --jsonl', message: "'--jsonl' cannot be used with option '--json'" },
  ])('refuses `$args` in one line, with exit code 2', async ({ args, message }) => {
    const run = await deadpeer(args.split(' '))
    expect(run).toMatchObject({ code: 2, out: [], err: [expect.stringContaining(message)] })
  })
})

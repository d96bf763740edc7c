import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import net from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tuneAllOrNone } from '../../src/cli/commands/tune/all-or-none.js'
import { forecastAll } from '../../src/cli/commands/tune/forecast.js'
import { Progress } from '../../src/cli/lib/progress.js'
import { borrowSocket, listSockets } from '../../src/host/index.js'
import { inspect, type Profile, profiles, tuneAll } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { connect, listen } from '../support/connections.js'
import { deadpeer, inTerminal } from '../support/deadpeer-command.js'
import { descriptorOf } from '../support/descriptors.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { type Client, type Program, startProgram, withoutCapabilities } from '../support/server-process.js'
import { until } from '../support/until.js'

const mptcp = '/proc/sys/net/mptcp/enabled'
const hasMptcp = existsSync(mptcp) && readFileSync(mptcp, 'utf8').trim() === '1'

const COUNT = 300
let program: Program
let clients: Client[]
const ours = () => ['tune', '--pid', String(program.pid)]
// biome-ignore lint/suspicious/noExplicitAny: what the shell prints
const jsonl = (lines: readonly string[]): any[] => lines.map((line) => JSON.parse(line))
const all = (profile: Profile) => [...clients.map(() => expect.objectContaining(profile))]
const inside = async () => [...(await program.profiles()).values()]

beforeAll(async () => {
  program = await startProgram()
  clients = await program.connect(COUNT)
})
afterAll(() => program.end())

const off = { enable: false, userTimeout: 0 }

describe('deadpeer tune', () => {
  it('shows the options before and after with --dry-run, and changes nothing', async () => {
    const run = await deadpeer([...ours(), '--profile', 'cloud', '--dry-run'])
    expect(run).toMatchObject({ code: 0, err: [] })
    expect(run.out[0]).toMatch(/^LOCAL +PEER +KEEPALIVE +USER-TIMEOUT +LEFT-OUT +PROCESS$/)
    expect(run.out[1]).toMatch(/ off → 30s\/10s\/3 +off → 1m +- +node\(\d+:\d+\)$/)
    expect(run.out).toHaveLength(COUNT + 2)
    expect(run.out.at(-1)).toBe(`${COUNT} would be tuned; nothing was changed`)
    expect(await inside()).toEqual(all(off))
  })

  it('sets options that the program reads back, while it goes on serving', async () => {
    const [busy] = clients as [Client]
    let isOver = false
    const serving = (async () => {
      let served = 0
      for (; !isOver; served++) await busy.echo('request')
      return served
    })()
    const run = await deadpeer([...ours(), '--profile', 'cloud', '--jsonl'])
    isOver = true
    expect(await serving).toBeGreaterThan(100)
    expect(run).toMatchObject({ code: 0, err: [] })
    expect(jsonl(run.out)).toHaveLength(COUNT)
    for (const { before, after } of jsonl(run.out))
      expect({ before, after }).toMatchObject({ before: off, after: profiles.cloud })
    expect(await inside()).toEqual(all(profiles.cloud))
    expect(await program.ask('errors')).toEqual([])
    await Promise.all(clients.map((client) => client.echo('and all others')))
  })

  it('sets single fields of one connection by its port, and leaves the others as they were', async () => {
    const [, client] = clients as [Client, Client]
    const fields = ['--idle', '60s', '--interval', '5s', '--count', '3', '--user-timeout', '75s']
    const run = await deadpeer([...ours(), '--port', String(client.port), ...fields, '--json'])
    expect(run.code).toBe(0)
    const wanted = { enable: true, initialDelay: 60_000, interval: 5_000, count: 3, userTimeout: 75_000 }
    const now = await program.profiles()
    expect(now.get(client.port)).toMatchObject(wanted)
    now.delete(client.port)
    expect([...now.values()]).toEqual(all(profiles.cloud).slice(1))
  })

  it.runIf(hasNetAdmin)(
    'leaves out values that could end a connection with an unresponsive peer, reports them, and exits with 1',
    async () => {
      const client = clients[2]!
      await program.ask('tune', client.port, off)
      // A user timeout of 3 s leaves a fresh connection time for two probes. After 2 s without a segment it leaves time for one.
      await program.idle({ least: 2_000 })
      using _hole = blackHole(client.socket)
      const risky = ['--idle', '1s', '--interval', '1s', '--count', '20', '--user-timeout', '3s']
      const run = await deadpeer([...ours(), '--port', String(client.port), ...risky, '--json'])
      expect(run.code).toBe(1)
      expect(run.err).toEqual([
        'deadpeer: 1 connection: the peer did not respond in time, so values that could have ended the connection were left out',
      ])
      const [{ leftOut, after }] = JSON.parse(run.out.join('\n'))
      expect(leftOut).toEqual({ userTimeout: 3_000 })
      expect(after).toMatchObject({
        enable: true,
        initialDelay: 1_000,
        interval: 1_000,
        count: 20,
        userTimeout: 0,
      })
      expect(await program.ask('profile', client.port)).toEqual(after)
    },
  )

  it('asks before it changes more than one process', async () => {
    const other = await startProgram()
    try {
      const { client: there, address } = await other.connectAlone()
      // The two ends belong to two processes: the program and this one.
      const both = ['tune', address, '--port', String(there.port), '--profile', 'lan']
      const piped = await deadpeer(both)
      expect(piped).toMatchObject({ code: 2, out: [] })
      expect(piped.err).toEqual([
        expect.stringMatching(
          /Tune 2 connections of 2 processes\? There is no terminal to confirm this on: add --yes\. Nothing was changed\.$/,
        ),
      ])
      for (const answer of ['n\n', '\x03']) {
        const no = await inTerminal(both, { answers: ['[y/N]', answer] })
        expect(no.code).toBe(answer === 'n\n' ? 1 : 130)
        expect(await other.ask('profile', there.port)).toMatchObject(off)
        expect(inspect(there.socket).profile).toMatchObject(off)
      }
      const yes = await inTerminal(both, { answers: ['[y/N]', 'y\n'] })
      expect(yes.code).toBe(0)
      expect(await other.ask('profile', there.port)).toMatchObject(profiles.lan)
      expect(inspect(there.socket).profile).toMatchObject(profiles.lan)
    } finally {
      other.end()
    }
  })
})

describe('deadpeer tune --dry-run', () => {
  /** The two ends of one connection. */
  async function both(client: Client, ...fields: string[]) {
    const command = [...ours(), '--port', String(client.port), ...fields, '--json']
    const dry = await deadpeer([...command, '--dry-run'])
    const real = await deadpeer(command)
    const parsed = ({ out }: typeof dry) => (out.length > 0 ? JSON.parse(out.join('\n'))[0] : undefined)
    return { dry, real, foretold: parsed(dry), done: parsed(real) }
  }

  // A user timeout of 3 s leaves a fresh connection time for two probes. After 2 s without a segment it leaves time for one.
  const risky = ['--idle', '1s', '--interval', '1s', '--count', '20', '--user-timeout', '3s']
  const whatWaits = { userTimeout: 3_000 }

  it('predicts that a live idle peer is probed first, and that all options are set', async () => {
    const client = clients[10]!
    await program.ask('tune', client.port, off)
    await idle(client, 2_000)
    const { dry, real, foretold, done } = await both(client, ...risky)
    expect(foretold).toMatchObject({ leftOutUnlessHeard: whatWaits })
    expect(foretold).not.toHaveProperty('leftOut')
    expect(done).not.toHaveProperty('leftOut')
    expect({ ...foretold, leftOutUnlessHeard: undefined }).toEqual({ ...done, leftOutUnlessHeard: undefined })
    expect([dry.code, real.code]).toEqual([0, 0])
    expect(dry.err).toEqual([
      'deadpeer: 1 connection: the peer would be probed first, and values that could end the connection left out if it does not respond within 2 s',
    ])
  })

  it.runIf(hasNetAdmin)(
    'predicts which values are left out if the peer does not respond to the probe',
    async () => {
      const client = clients[11]!
      await program.ask('tune', client.port, off)
      await idle(client, 2_000)
      using _hole = blackHole(client.socket)
      const { dry, real, foretold, done } = await both(client, ...risky)
      expect([dry.code, real.code]).toEqual([0, 1])
      expect(foretold.leftOutUnlessHeard).toEqual(whatWaits)
      expect(done.leftOut).toEqual(whatWaits)
    },
  )

  it.runIf(hasNetAdmin)(
    'predicts that values which must wait are left out if data is unacknowledged',
    async () => {
      const client = clients[12]!
      await program.ask('tune', client.port, off)
      using _hole = blackHole(client.socket)
      await program.ask('write', client.port, 'into the void')
      await until(async () => (await unansweredFor(client)) > 1_000)
      const { dry, real, foretold, done } = await both(client, '--user-timeout', '500ms', '--count', '5')
      expect([dry.code, real.code]).toEqual([1, 1])
      expect(done.leftOut).toEqual({ userTimeout: 500 })
      expect(foretold).toEqual(done)
      expect(dry.err).toEqual([
        'deadpeer: 1 connection: the peer does not respond now, so values that could end the connection would be left out',
      ])
    },
  )

  const infoOf = async ({ port, socket }: Client) => {
    const [record] = await listSockets({
      localPort: socket.remotePort!,
      remotePort: port,
      states: ['established'],
      info: true,
    })
    return record!.info!
  }

  /** Waits for this connection only. The others have keepalive, and their peers acknowledge probes. */
  const idle = (client: Client, least: number) =>
    until(async () => {
      const { lastAckRecv, lastDataRecv } = await infoOf(client)
      return Math.min(lastAckRecv, lastDataRecv) >= least
    }, 10_000)

  const unansweredFor = async (client: Client) => {
    const { retransmits, lastDataSent } = await infoOf(client)
    return retransmits > 0 ? lastDataSent : 0
  }

  it('predicts that keepalive is refused if the existing user timeout is shorter than the connection has been idle', async () => {
    const client = clients[13]!
    await program.ask('tune', client.port, { enable: false, userTimeout: 3_000 })
    await idle(client, 4_000)
    const { dry, real } = await both(client, '--idle', '1s', '--interval', '1s', '--count', '20')
    expect([dry.code, real.code]).toEqual([1, 1])
    expect([dry.out, real.out]).toEqual([[], []])
    for (const { err } of [dry, real]) {
      expect(err).toEqual([
        expect.stringMatching(/userTimeout could end .* → .* as it is, because its peer was not heard/),
      ])
    }
  })

  it('predicts no change and no failure for a connection that is closed in the meantime', async () => {
    const { socket } = (await connect(1))[0]!
    const borrowed = borrowSocket(process.pid, descriptorOf(socket))
    socket.destroy()
    const closed = { error: expect.objectContaining({ code: 'ERR_SOCKET_CLOSED' }) }
    expect(forecastAll([borrowed], profiles.lan)).toEqual([closed])
    expect(await tuneAll([borrowed], profiles.lan)).toEqual([closed])
  })

  it.runIf(hasMptcp)('predicts the refusal for a socket that lacks an option (MPTCP)', async () => {
    const script = `
import socket, sys
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
listener.bind(('127.0.0.1', 0))
listener.listen()
client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
client.connect(listener.getsockname())
print(client.fileno(), flush=True)
sys.stdin.read()`
    const holder = spawn('python3', ['-c', script])
    try {
      const [fd] = await once(holder.stdout, 'data')
      const borrowed = borrowSocket(holder.pid!, Number(fd))
      const refused = {
        error: expect.objectContaining({ code: 'ERR_UNSUPPORTED_OPTION', field: 'userTimeout' }),
      }
      expect(forecastAll([borrowed], profiles.lan)).toEqual([refused])
      expect(await tuneAll([borrowed], profiles.lan)).toEqual([refused])
    } finally {
      holder.stdin.end()
    }
  })

  it('predicts the refusal for a process that may not be changed', async () => {
    const tuning = [...ours(), '--profile', 'lan']
    const dry = await deadpeer([...tuning, '--dry-run'], { before: withoutCapabilities })
    const real = await deadpeer(tuning, { before: withoutCapabilities })
    expect(real.code).toBe(2)
    expect({ ...dry, took: 0, firstWord: 0 }).toEqual({ ...real, took: 0, firstWord: 0 })
  })
})

describe('deadpeer tune of several connections', () => {
  const running = new AbortController().signal
  const progress = new Progress('tuning')
  const before: Profile = {
    enable: true,
    initialDelay: 40_000,
    interval: 7_000,
    count: 4,
    userTimeout: 30_000,
  }

  async function tunable(count: number) {
    const pairs = await connect(count)
    const { tune } = await import('../../src/index.js')
    for (const { socket } of pairs) tune(socket, before)
    return pairs.map(({ socket }) => ({
      target: socket as net.Socket | number,
      before: inspect(socket).profile,
    }))
  }

  it('restores the options of the others if the kernel refuses one', async () => {
    const sockets = await tunable(5)
    // A socket of another protocol, whose options the kernel refuses to set.
    const pipe = net.createServer().listen(`\0deadpeer-${process.pid}`)
    const fd = descriptorOf(pipe)
    try {
      const tuned = await tuneAllOrNone(
        [...sockets, { target: fd, before }],
        profiles.cloud,
        running,
        progress,
      )
      expect(tuned).toMatchObject({ error: { code: 'ERR_NOT_TCP' }, notPutBack: 0 })
      expect(tuned.results.filter(({ error }) => !error)).toHaveLength(5)
      for (const each of sockets) expect(inspect(each.target).profile).toEqual(each.before)
    } finally {
      pipe.close()
    }
  })

  it('restores all options if it is interrupted', async () => {
    const sockets = await tunable(3)
    const tuned = await tuneAllOrNone(sockets, profiles.cloud, AbortSignal.abort(), progress)
    expect(tuned).toMatchObject({ error: { message: 'interrupted' }, notPutBack: 0 })
    expect(tuned.results).toHaveLength(3)
    for (const each of sockets) expect(inspect(each.target).profile).toEqual(each.before)
  })

  it('does not fail if one was closed in the meantime', async () => {
    const sockets = await tunable(2)
    const gone = net.connect(await listen(net.createServer().unref()), '127.0.0.1').destroy()
    const tuned = await tuneAllOrNone(
      [...sockets, { target: gone, before }],
      profiles.cloud,
      running,
      progress,
    )
    expect(tuned.error).toBeUndefined()
    for (const { target } of sockets) expect(inspect(target).profile).toMatchObject(profiles.cloud)
  })
})

describe.concurrent('deadpeer tune with bad input', () => {
  it.for<{ args: string; message: string }>([
    { args: 'tune', message: 'select connections by --pid, --port or a prefix' },
    {
      args: 'tune --port 1',
      message: 'no option to set: add --profile, --off, --idle, --interval, --count or --user-timeout',
    },
    {
      args: 'tune --port 1 --profile clod',
      message:
        "--profile must be one of lan, datacenter, cloud, mobile, patient, or initialDelay/interval/count such as 60s/5s/3; got 'clod'. Did you mean cloud?",
    },
    {
      args: 'tune --port 1 --idle 1500ms',
      message: "--idle must be whole seconds from 1s to 32767s; got '1500ms'",
    },
    { args: 'tune --port 1 --count 128', message: "--count must be a whole number from 1 to 127; got '128'" },
    { args: 'tune --port 1 --count x', message: "--count must be a whole number from 1 to 127; got 'x'" },
    {
      args: 'tune --port 1 --user-timeout 30d',
      message: "--user-timeout must be whole milliseconds from 0s to 2147483647ms; got '30d'",
    },
    { args: 'tune --pid 4194305 --profile lan', message: 'there is no process 4194305' },
    {
      args: `tune --pid ${process.pid} 192.0.2.7 --profile lan`,
      message: `there is no established TCP connection of process ${process.pid} with an end in 192.0.2.7`,
    },
  ])('refuses `$args` in one line, with exit code 2', async ({ args, message }) => {
    const run = await deadpeer(args.split(' '))
    expect(run).toMatchObject({ code: 2, out: [], err: [expect.stringContaining(message)] })
  })
})

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { examineCounters } from '../../src/cli/commands/doctor/connections.js'
import { nodeTraps } from '../../src/cli/commands/doctor/node-traps.js'
import { readNodeVersion } from '../../src/cli/commands/doctor/node-version.js'
import { remediesFor } from '../../src/cli/commands/doctor/remedies.js'
import { examineSystem } from '../../src/cli/commands/doctor/system.js'
import type { Connection } from '../../src/cli/lib/selection.js'
import { listSockets, type SystemDefaults } from '../../src/host/index.js'
import { type Profile, profiles } from '../../src/index.js'
import { hops } from '../../src/path/index.js'
import { blackHole } from '../../src/testing/index.js'
import { deadpeer, inTerminal, runPasted } from '../support/deadpeer-command.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { type Client, type Program, startProgram } from '../support/server-process.js'
import { until } from '../support/until.js'

let program: Program
let clients: Client[]
const ours = () => ['doctor', '--pid', String(program.pid)]
// biome-ignore lint/suspicious/noExplicitAny: what the shell prints
const json = (lines: readonly string[]): any => JSON.parse(lines.join('\n'))
const codes = (run: { out: string[] }) =>
  json(run.out).findings.map(({ code, connections }: never) => [code, connections])

beforeAll(async () => {
  program = await startProgram()
  clients = await program.connect(8)
})
afterAll(() => program.end())

describe('deadpeer doctor', () => {
  it('prints one line for each process whose connections cannot detect a dead peer', async () => {
    const run = await deadpeer(ours())
    expect(run).toMatchObject({ code: 1, err: [] })
    expect(run.out).toEqual([
      '8 connections examined',
      expect.stringMatching(
        /^error: 8 connections of node\(\d+, Node [\d.]+\), such as .* → .*: Keepalive is off, so the kernel never notices /,
      ),
      '  at fault: your program',
      '  For connections opened later: start the program with deadpeer run, or call tune() in it.',
      `  deadpeer tune --pid ${program.pid} --profile cloud`,
    ])
    expect(json((await deadpeer([...ours(), '--json'])).out)).toMatchObject({
      connections: 8,
      read: 8,
      unread: 0,
      why: [],
      verdicts: { alive: 8 },
      findings: [
        {
          ...{ severity: 'error', code: 'keepalive-off', fault: 'program', connections: 8 },
          command: `deadpeer tune --pid ${program.pid} --profile cloud`,
          process: { pid: program.pid },
        },
      ],
    })
  })

  it('adds --port to its command if the process has other connections that must not change', async () => {
    const [one, ...rest] = clients as [Client, ...Client[]]
    for (const { port } of rest) await program.ask('tune', port, profiles.patient)
    const [finding] = json((await deadpeer([...ours(), '--json'])).out).findings
    expect(finding.command).toBe(`deadpeer tune --pid ${program.pid} --port ${one.port} --profile cloud`)
    expect(runPasted(finding.command)).toMatchObject({ status: 0 })
    const after = await program.profiles()
    expect(after.get(one.port)).toMatchObject(profiles.cloud)
    for (const { port } of rest) expect(after.get(port)).toMatchObject(profiles.patient)
    for (const { port } of rest) await program.ask('tune', port, { enable: false })
    await program.ask('tune', one.port, { enable: false, userTimeout: 0 })
  })

  it('reports connections that are not tuned for their path, and nothing after the suggested command has run', async () => {
    const [finding] = json((await deadpeer([...ours(), '--json'])).out).findings
    expect(runPasted(finding.command)).toMatchObject({ status: 0 })
    for (const profile of (await program.profiles()).values()) expect(profile).toMatchObject(profiles.cloud)
    expect(await deadpeer(ours())).toMatchObject({
      code: 0,
      out: ['8 connections examined', 'nothing is wrong'],
    })
    const run = await deadpeer([...ours(), '--hop', 'nat=20s', '--json'])
    expect(run.code).toBe(1)
    expect(codes(run)).toEqual(
      expect.arrayContaining([
        ['forgets-before-probe', 8],
        ['system-keepalive', undefined],
      ]),
    )
    const ofPath = json(run.out).findings.find(
      ({ code }: { code: string }) => code === 'forgets-before-probe',
    )
    expect(ofPath.command).toBe(
      `deadpeer tune --pid ${program.pid} --idle 10s --interval 3s --count 3 --user-timeout 19s`,
    )
    // A connection that has been idle for longer is tuned after its peer responds. A busy machine may notice the response late.
    for (const client of clients) await client.echo('hello')
    expect(runPasted(ofPath.command)).toMatchObject({ status: 0 })
    expect(codes(await deadpeer([...ours(), '--hop', 'nat=20s', '--json']))).toEqual([
      ['system-keepalive', undefined],
    ])
  })

  it('reports keepalive as an error on a path with a hop that does not acknowledge all probes', async () => {
    const ofPath = [...ours(), '--hop', 'docker-desktop-mac', '--json']
    for (const { port } of clients) await program.ask('tune', port, profiles.cloud)
    const run = await deadpeer(ofPath)
    expect(run.code).toBe(1)
    const [finding] = json(run.out).findings
    expect(finding).toMatchObject({
      ...{ severity: 'error', code: 'keepalive-on-deaf-path', fault: 'program', connections: 8 },
      hop: 'docker-desktop-mac',
      command: `deadpeer tune --pid ${program.pid} --off --user-timeout 120s`,
    })
    expect(runPasted(finding.command)).toMatchObject({ status: 0 })
    for (const profile of (await program.profiles()).values()) {
      expect(profile).toMatchObject({ enable: false, userTimeout: 120_000 })
    }
    expect(codes(await deadpeer(ofPath))).toEqual([['probes-not-answered', 8]])
  })

  it('finds keepalive that takes two hours to notice a dead peer', async () => {
    const camera = { initialDelay: 7_200_000, interval: 5_000, count: 1, userTimeout: 20_000 }
    for (const { port } of clients) await program.ask('tune', port, camera)
    const run = await deadpeer([...ours(), '--json'])
    expect(run.code).toBe(1)
    const [finding] = json(run.out).findings
    expect(finding).toMatchObject({
      ...{ code: 'detection-too-slow', severity: 'warning', fault: 'program', connections: 8 },
      message: 'Keepalive is on, but takes 7205 s to notice that the peer of an idle connection is gone.',
    })
    expect(runPasted(finding.command)).toMatchObject({ status: 0 })
    expect(await deadpeer(ours())).toMatchObject({ code: 0, err: [] })
  })

  it("recognises Node's own setKeepAlive by the options it leaves", async () => {
    for (const { port } of clients) await program.ask('setKeepAlive', port, 15_000)
    const run = await deadpeer([...ours(), '--json'])
    expect(codes(run)).toContainEqual(['node-set-keep-alive', 8])
    const found = json(run.out).findings.find(({ code }: { code: string }) => code === 'node-set-keep-alive')
    expect(found.process).toEqual({
      pid: program.pid,
      command: expect.any(String),
      node: process.versions.node,
    })
    const { out } = await deadpeer(ours())
    expect(out.join('\n')).toContain(`(${program.pid}, Node ${process.versions.node})`)
  })

  it.runIf(hasNetAdmin)(
    'does not say that there is no connection when the kernel has given up all of them',
    async () => {
      const alone = await startProgram()
      try {
        const [client] = (await alone.connect(1)) as [Client]
        await alone.ask('stall', client.port)
        await alone.ask('tune', client.port, {
          initialDelay: 1_000,
          interval: 1_000,
          count: 1,
          userTimeout: 0,
        })
        using _gone = blackHole(client.socket)
        // In one run the kernel may give up a connection after it was listed and before its descriptor is read.
        const ends = { localPort: client.socket.remotePort!, remotePort: client.port }
        await until(async () => (await listSockets(ends)).length === 0, 20_000)
        const run = await deadpeer(['doctor', '--pid', String(alone.pid)])
        expect(run).toMatchObject({ code: 1, err: [] })
        expect(run.out[0]).toBe('the kernel lists no connection any more')
        expect(run.out).toContainEqual(
          expect.stringMatching(/^error: A connection of node\(\d+\), descriptor \d+: The kernel has given/),
        )
      } finally {
        await alone.end()
      }
    },
  )

  it.runIf(hasNetAdmin)(
    'finds a connection that the kernel has given up and no longer lists, and a peer that does not respond',
    async () => {
      const [zombie, mute] = clients as [Client, Client]
      const fd = await program.ask('fd', zombie.port)
      await program.ask('stall', zombie.port)
      await program.ask('tune', zombie.port, {
        initialDelay: 1_000,
        interval: 1_000,
        count: 1,
        userTimeout: 0,
      })
      using _gone = blackHole(zombie.socket)
      using _mute = blackHole(mute.socket)
      await program.ask('write', mute.port, 'anybody?')
      let run = await deadpeer([...ours(), '--json'])
      // On a busy machine another peer may respond late.
      const isFound = (wanted: string) =>
        codes(run).some(([code, count]: [string, number]) => code === wanted && count === 1)
      while (!isFound('zombie') || !isFound('unanswered')) {
        run = await deadpeer([...ours(), '--json'])
      }
      expect(run.code).toBe(1)
      const found = json(run.out).findings.find(({ code }: { code: string }) => code === 'zombie')
      expect(found).toMatchObject({ severity: 'error', fault: 'program', connections: 1, example: { fd } })
      expect(found.command).toBe(`deadpeer inspect ${program.pid}:${fd}`)
      expect(runPasted(found.command).output).toMatch(/^CLOSE {2}dead: /)
      expect((await deadpeer(['inspect', `${program.pid}:${fd}`])).out[0]).toMatch(/^CLOSE {2}dead: /)

      const unanswered = json(run.out).findings.find(({ code }: { code: string }) => code === 'unanswered')
      const kill = `deadpeer probe --pid ${program.pid} --port ${mute.port} --kill`
      expect(unanswered).toMatchObject({ severity: 'error', fault: 'peer', command: kill })
      // The command asks before it closes a connection.
      const typed = await inTerminal(kill.split(' ').slice(1), { answers: ['[y/N]', 'y\n'] })
      expect(typed.out.join('\n')).toContain('1 of 1 closed')
      const after = json((await deadpeer([...ours(), '--json'])).out)
      expect(after.connections).toBe(clients.length - 2)
      expect(after.findings.filter(({ code }: { code: string }) => code === 'unanswered')).toEqual([])
    },
  )
})

describe('findings that take long to reproduce', () => {
  const connection = (state: string, silentFor: number) =>
    ({
      record: { state, local: { address: '10.0.0.1', port: 1 }, remote: { address: '10.0.0.2', port: 2 } },
      owners: [{ pid: 7, command: 'app', fd: 3 }],
      verdict: state === 'established' ? 'alive' : 'closing',
      evidence: '',
      silentFor,
    }) as unknown as Connection
  const found = (connections: Connection[]) =>
    examineCounters(connections, [hops['aws-nlb']], remediesFor(connections, {}, ['aws-nlb']))

  it.each([
    {
      state: 'established',
      message: 'The peer does not respond.',
      command: 'deadpeer probe --pid 7 --kill',
    },
    {
      state: 'syn-sent',
      message: 'The peer does not respond to the attempt to connect.',
      command: 'deadpeer ls --pid 7 --state syn-sent',
    },
    {
      state: 'close-wait',
      message: 'The peer has closed its side, your program has not, and the peer no longer responds.',
      command: 'deadpeer ls --pid 7 --state close-wait',
    },
    {
      state: 'fin-wait-1',
      message: 'Your program closed its side, and the peer does not respond.',
      command: 'deadpeer ls --pid 7 --state fin-wait-1',
    },
  ])('report a peer that does not respond in $state', ({ state, ...words }) => {
    const suspect = { ...connection(state, 0), verdict: 'suspect' } as Connection
    expect(found([suspect])).toEqual([
      expect.objectContaining({ code: 'unanswered', severity: 'error', fault: 'peer', ...words }),
    ])
  })

  it('include a note about an idle connection that was not probed, with a command that probes it', () => {
    const idle = { ...connection('established', 61_000), verdict: 'unknown' } as Connection
    expect(found([idle])).toEqual([
      expect.objectContaining({
        ...{ code: 'unheard', severity: 'note', fault: 'program' },
        command: 'deadpeer probe --pid 7',
      }),
    ])
  })

  it('include an idle time that the path does not allow', () => {
    const { idleTimeout } = hops['aws-nlb']
    expect(
      found([connection('established', idleTimeout), connection('established', idleTimeout + 1)]),
    ).toEqual([expect.objectContaining({ code: 'forgotten-already', fault: 'path', connections: 1 })])
  })

  it("include the system's own settings", () => {
    const codesOf = (defaults: Partial<SystemDefaults>) =>
      examineSystem(defaults as SystemDefaults, [hops['aws-nlb']]).map(({ code }) => code)
    expect(codesOf({ initialDelay: 7_200_000, retries2: 15 })).toEqual(['system-keepalive'])
    expect(codesOf({ initialDelay: 60_000, retries2: 5 })).toEqual(['system-retries'])
    expect(codesOf({ initialDelay: undefined, retries2: undefined })).toEqual([])
  })
})

describe('a default of Node', () => {
  const defaults = { initialDelay: 7_200_000, interval: 75_000, count: 9 }
  const off = { enable: false, ...defaults }
  const codesOf = (version: string, profile: Profile, port = 5432) =>
    nodeTraps(version, profile, port, defaults).map(({ code }) => code)
  const versions = ['20.20.2', '22.23.3', '24.18.0', '24.21.0', '26.3.1', '26.10.0', 'unknown']

  it.each(versions)('is recognised for Node %s by the options of the connection', (version) => {
    const set = { enable: true, initialDelay: 30_000, interval: 1_000, count: 10 }
    expect(codesOf(version, set)).toEqual(['node-set-keep-alive'])
    expect(codesOf(version, { ...set, initialDelay: 1_000 })).toEqual(['node-agent-keep-alive'])
    expect(codesOf(version, { ...defaults, enable: true })).toEqual(['node-keep-alive-delay'])
    for (const profile of [off, { ...set, interval: 2_000 }, { ...set, count: 9 }, profiles.cloud]) {
      expect(codesOf(version, profile)).toEqual([])
    }
  })

  it('is reported only for the versions that have it', () => {
    const dropping = versions.filter((version) => codesOf(version, off, 443).includes('node-tls-keep-alive'))
    expect(dropping).toEqual(['20.20.2', '22.23.3'])
    const change = (version: string) =>
      nodeTraps(version, { enable: true, initialDelay: 5_000, interval: 1_000, count: 10 }, 1, defaults)[0]!
        .change
    const taking = versions.filter((version) => change(version)!.startsWith('Call setKeepAlive({ enable'))
    expect(taking).toEqual(['24.21.0', '26.10.0'])
    expect(change('22.23.3')).toContain('setKeepAlive of Node 22.23.3 takes neither interval nor count')
    expect(change('unknown')).toContain('From Node 24.19 and 26.4 on')
  })

  it('is judged by the version of Node, which doctor reads from the binary or its path', async () => {
    expect(readNodeVersion(process.pid, 'node')).toBe(process.versions.node)
    const folder = mkdtempSync(join(tmpdir(), 'deadpeer-node-'))
    const sleepAs = async (name: string) => {
      const path = join(folder, name)
      mkdirSync(dirname(path), { recursive: true })
      copyFileSync('/bin/sleep', path)
      const child = spawn(path, ['30'], { stdio: 'ignore' })
      await once(child, 'spawn')
      // This happens after an upgrade while the program runs.
      rmSync(path)
      const version = readNodeVersion(child.pid!, 'sleep')
      child.kill()
      return version
    }
    try {
      expect(await sleepAs('node')).toBe('unknown')
      expect(await sleepAs('v22.23.3/bin/node')).toBe('22.23.3')
      expect(await sleepAs('nodejs')).toBe('unknown')
      expect(await sleepAs('nodemon')).toBeUndefined()
      expect(await sleepAs('sleep')).toBeUndefined()
    } finally {
      rmSync(folder, { recursive: true })
    }
    // For a process of another user, or one that has ended, only the name is known.
    expect(readNodeVersion(4_194_305, 'node')).toBe('unknown')
    expect(readNodeVersion(4_194_305, 'MainThread')).toBe('unknown')
    expect(readNodeVersion(4_194_305, 'postgres')).toBeUndefined()
  })
})

describe.concurrent('deadpeer doctor with bad input', () => {
  it.for<{ args: string; message: string }>([
    {
      args: 'doctor --hop nowhere',
      message:
        "deadpeer: --hop: Unknown hop 'nowhere'. deadpeer hops lists the names; write a hop of your own as name=time, such as nat=350s",
    },
    { args: 'doctor --pid 4194305', message: 'there is no process 4194305' },
    { args: 'doctor --pid x', message: '--pid must be a whole number from 1 to 2147483647' },
    { args: 'doctor --jsonl', message: "unknown option '--jsonl'" },
    { args: 'doctor --over 10ms', message: 'must be a time from 100ms to 1d; got' },
    {
      args: 'doctor --port 1',
      message: 'nothing was examined: there is no TCP connection with port 1 in this network namespace',
    },
  ])('refuses `$args` in one line, with exit code 2', async ({ args, message }) => {
    const run = await deadpeer(args.split(' '))
    expect(run).toMatchObject({ code: 2, out: [], err: [expect.stringContaining(message)] })
  })
})

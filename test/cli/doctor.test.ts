import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { examineCounters } from '../../src/cli/doctor/connections.js'
import { examineSystem } from '../../src/cli/doctor/system.js'
import type { Connection } from '../../src/cli/selection.js'
import type { SystemDefaults } from '../../src/host.js'
import { profiles } from '../../src/index.js'
import { hops } from '../../src/plan.js'
import { blackHole } from '../../src/testing/index.js'
import { hasNetAdmin } from '../loopback/need-net-admin.js'
import { deadpeer } from './deadpeer.js'
import { type Client, type Program, startProgram } from './program.js'

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
  it('finds connections that cannot notice, a line for all of a process', async () => {
    const run = await deadpeer(ours())
    expect(run).toMatchObject({ code: 1, err: [] })
    expect(run.out).toEqual([
      '8 connections examined',
      expect.stringMatching(
        /^error: 8 connections of node\(\d+\), such as .* → .*: Keepalive is off: a peer that vanishes /,
      ),
      '  Set the profile that plan({ path }) gives.',
    ])
    expect(json((await deadpeer([...ours(), '--json'])).out)).toMatchObject({
      connections: 8,
      unread: 0,
      findings: [{ severity: 'error', code: 'keepalive-off', connections: 8, process: { pid: program.pid } }],
    })
  })

  it('has nothing to say of connections that are tuned, and something of a path that they are not tuned for', async () => {
    for (const { port } of clients) await program.ask('tune', port, profiles.cloud)
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
  })

  it("knows Node's own setKeepAlive by what it leaves", async () => {
    for (const { port } of clients) await program.ask('setKeepAlive', port, 15_000)
    const run = await deadpeer([...ours(), '--json'])
    expect(codes(run)).toContainEqual(['node-set-keep-alive', 8])
  })

  it.runIf(hasNetAdmin)('finds a zombie, which no list has, and a peer that does not answer', async () => {
    const [zombie, mute] = clients as [Client, Client]
    const fd = await program.ask('fd', zombie.port)
    await program.ask('stall', zombie.port)
    await program.ask('tune', zombie.port, { initialDelay: 1_000, interval: 1_000, count: 1, userTimeout: 0 })
    using _gone = blackHole(zombie.socket)
    using _mute = blackHole(mute.socket)
    await program.ask('write', mute.port, 'anybody?')
    let run = await deadpeer([...ours(), '--json'])
    // On a busy machine another may be late to answer for a moment.
    const isFound = (wanted: string) =>
      codes(run).some(([code, count]: [string, number]) => code === wanted && count === 1)
    while (!isFound('zombie') || !isFound('unanswered')) {
      run = await deadpeer([...ours(), '--json'])
    }
    expect(run.code).toBe(1)
    const found = json(run.out).findings.find(({ code }: { code: string }) => code === 'zombie')
    expect(found).toMatchObject({ severity: 'error', connections: 1, example: { fd } })
    expect((await deadpeer(['inspect', `${program.pid}:${fd}`])).out[0]).toMatch(/^CLOSE {2}dead: /)
  })
})

describe('what takes long to come about', () => {
  const connection = (state: string, silentFor: number) =>
    ({
      record: { state, local: { address: '10.0.0.1', port: 1 }, remote: { address: '10.0.0.2', port: 2 } },
      owners: [{ pid: 7, command: 'app', fd: 3 }],
      verdict: state === 'established' ? 'alive' : 'closing',
      evidence: '',
      silentFor,
    }) as unknown as Connection
  const found = (connections: Connection[]) =>
    examineCounters(connections, [hops['aws-nlb']]).map(({ code, connections: n }) => [code, n])

  it('a peer that has closed, and a program that does not', () => {
    expect(found([connection('close-wait', 60_000), connection('close-wait', 59_999)])).toEqual([
      ['closed-by-peer', 1],
    ])
  })

  it('a silence that the path has not borne', () => {
    const { idleTimeout } = hops['aws-nlb']
    expect(
      found([connection('established', idleTimeout), connection('established', idleTimeout + 1)]),
    ).toEqual([['forgotten-already', 1]])
  })

  it("the system's own settings", () => {
    const codesOf = (defaults: Partial<SystemDefaults>) =>
      examineSystem(defaults as SystemDefaults, [hops['aws-nlb']]).map(({ code }) => code)
    expect(codesOf({ initialDelay: 7_200_000, retries2: 15 })).toEqual(['system-keepalive'])
    expect(codesOf({ initialDelay: 60_000, retries2: 5 })).toEqual(['system-retries'])
    expect(codesOf({ initialDelay: undefined, retries2: undefined })).toEqual([])
  })
})

describe.concurrent('bad input: one line, exit code 2', () => {
  it.for<[string, string]>([
    ['doctor --hop nowhere', "There is no hop 'nowhere'."],
    ['doctor --pid 4194305', 'there is no process 4194305'],
    ['doctor --pid x', 'A process id is'],
    ['doctor --jsonl', "unknown option '--jsonl'"],
  ])('%s', async ([args, message]) => {
    const run = await deadpeer(args.split(' '))
    expect(run).toMatchObject({ code: 2, out: [], err: [expect.stringContaining(message)] })
  })
})

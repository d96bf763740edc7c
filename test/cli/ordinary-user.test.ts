import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { profiles } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { deadpeer, program } from '../support/deadpeer-command.js'
import { type Client, type Program, startProgram } from '../support/server-process.js'

// A user who is not root may do with their own programs what root may do with any. For programs of others, one line names the missing permission.

const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] as const
const canBeNobody =
  process.getuid?.() === 0 && spawnSync(asNobody[0], [...asNobody.slice(1), 'true']).status === 0
const shell = (args: readonly string[]) => deadpeer(args, { before: asNobody })
// biome-ignore lint/suspicious/noExplicitAny: what the shell prints
const jsonl = (lines: readonly string[]): any[] => lines.map((line) => JSON.parse(line))

describe.runIf(canBeNobody)('an ordinary user', () => {
  let own: Program
  let others: Program
  let ownClients: Client[]
  let othersClients: Client[]

  beforeAll(async () => {
    own = await startProgram(asNobody)
    others = await startProgram()
    ownClients = await own.connect(8)
    othersClients = await others.connect(4)
  })
  afterAll(() => {
    own.end()
    others.end()
  })

  const pid = () => ['--pid', String(own.pid)]

  it.runIf(existsSync('/dev/full')).each(['ls', 'doctor', 'export --listen 127.0.0.1:0'])(
    'is told in one line that standard output cannot be written, and nothing else: %s',
    (args) => {
      const full = openSync('/dev/full', 'w')
      const [file, ...rest] = [...asNobody, process.execPath, program, ...args.split(' ')]
      const { status, stderr } = spawnSync(file!, rest, {
        stdio: ['ignore', full, 'pipe'],
        encoding: 'utf8',
        timeout: 30_000,
      })
      closeSync(full)
      expect({ status, stderr }).toEqual({
        status: 2,
        stderr: 'deadpeer: cannot write to standard output: no space left on device (ENOSPC)\n',
      })
    },
  )

  it('lists, inspects, tunes and examines their own connections', async () => {
    const listed = await shell(['ls', ...pid(), '--options', '--jsonl'])
    expect(listed).toMatchObject({ code: 0, err: [] })
    expect(new Map(jsonl(listed.out).map(({ remote, profile }) => [remote.port, profile]))).toEqual(
      await own.profiles(),
    )
    const fd = await own.ask('fd', ownClients[0]!.port)
    expect(await shell(['inspect', `${own.pid}:${fd}`])).toMatchObject({ code: 0, err: [] })
    expect(await shell(['doctor', ...pid()])).toMatchObject({ code: 1, err: [] })
    expect(await shell(['tune', ...pid(), '--profile', 'cloud'])).toMatchObject({ code: 0, err: [] })
    for (const profile of (await own.profiles()).values()) expect(profile).toMatchObject(profiles.cloud)
    const after = await shell(['doctor', ...pid(), '--json'])
    expect(after).toMatchObject({ code: 0, err: [] })
    expect(JSON.parse(after.out.join('\n'))).toMatchObject({ connections: 8, unread: 0, findings: [] })
  })

  it('probes their own connections, and gets one line with the permission that --kill needs', async () => {
    const [silent] = ownClients as [Client]
    using _hole = blackHole(silent.socket)
    await own.idle()
    const run = await shell(['probe', ...pid(), '--kill', '--yes', '--jsonl'])
    expect(run.code).toBe(1)
    const answers = jsonl(run.out)
    expect(answers.filter(({ alive }) => alive).length).toBe(7)
    expect(answers.find(({ alive }) => !alive).remote.port).toBe(silent.port)
    expect(run.err).toEqual([expect.stringMatching(/^deadpeer: .*CAP_NET_ADMIN/), '0 of 1 closed'])
  })

  it.each(['ls', 'probe', 'tune', 'doctor', 'watch'])(
    'is refused with one line and exit code 2 by %s on connections of others',
    async (command) => {
      const profile = command === 'tune' ? ['--profile', 'lan'] : []
      expect(await shell([command, '--pid', String(others.pid), ...profile])).toMatchObject({
        code: 2,
        out: [],
        err: [
          expect.stringMatching(
            /^deadpeer: not permitted to see the descriptors of process \d+ \(uid 0, EACCES\): run as that user or with CAP_SYS_PTRACE \(sudo\)$/,
          ),
        ],
      })
    },
  )

  it('cannot tune by port: the error names the required permission, and nothing is changed', async () => {
    const [{ port }] = othersClients as [Client]
    const fd = await others.ask('fd', port)
    const before = await others.profiles()
    expect(await shell(['inspect', `${others.pid}:${fd}`])).toMatchObject({
      code: 2,
      out: [],
      err: [
        expect.stringMatching(
          /^deadpeer: not permitted to see the descriptors of process \d+ .*CAP_SYS_PTRACE/,
        ),
      ],
    })
    for (const args of [['probe'], ['tune', '--profile', 'lan', '--yes']]) {
      expect(await shell([...args, '--port', String(port)])).toMatchObject({
        code: 2,
        out: [],
        err: [
          expect.stringMatching(
            /^deadpeer: .*the owning process \(uid 0\): run as that user or with CAP_SYS_PTRACE/,
          ),
        ],
      })
    }
    const listed = await shell(['ls', '--port', String(port), '--options'])
    expect(listed).toMatchObject({
      code: 0,
      err: [
        expect.stringMatching(
          /not permitted to see the owning process of \d+ of these: run with CAP_SYS_PTRACE/,
        ),
      ],
    })
    expect(listed.out.filter((line) => / \? +\? +-$/.test(line)).length).toBeGreaterThan(0)
    expect(await others.profiles()).toEqual(before)
  })

  it('is not told that nothing is wrong with connections that they may not read', async () => {
    const [{ port }] = othersClients as [Client]
    const reason =
      'Not permitted to see the owning process (uid 0): run as that user or with CAP_SYS_PTRACE (sudo).'
    const refusal = { code: 2, err: [`deadpeer: nothing was examined: ${reason}`] }
    expect(await shell(['doctor', '--port', String(port)])).toMatchObject({ ...refusal, out: [] })
    const examined = await shell(['doctor', '--port', String(port), '--json'])
    expect(examined).toMatchObject(refusal)
    expect(JSON.parse(examined.out.join('\n'))).toEqual({
      ...{ connections: 2, read: 0, unread: 2, verdicts: { alive: 2 }, findings: [] },
      why: [{ connections: 2, reason }],
    })
  })

  it('is told how many connections "nothing is wrong" covers', async () => {
    const { client } = await own.connectAlone()
    await own.ask('tune', client.port, profiles.cloud)
    // Both ends are on this host, and the client's end is this process's.
    const run = await shell(['doctor', client.socket.localAddress!, '--port', String(client.port)])
    expect(run).toMatchObject({
      code: 0,
      out: ['1 of 2 connections examined', 'nothing is wrong with the 1 of 2 connections that could be read'],
      err: [
        expect.stringMatching(
          /^deadpeer: 1 of 2 connections could not be read\. Not permitted to see the owning process \(uid 0\): /,
        ),
      ],
    })
  })
})

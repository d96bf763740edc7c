import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { deadpeer } from '../support/deadpeer-command.js'
import { hasNamespaces } from '../support/network-namespace.js'
import { type Program, startProgram } from '../support/server-process.js'
import { until } from '../support/until.js'

// "Nothing matched", "nothing is suspect" and "nothing could be read" are different results.

describe('a command whose filter matches nothing', () => {
  const none = 'there is no TCP connection with port 1 with an end in 192.0.2.0/24 in this network namespace'
  const nowhere = ['192.0.2.0/24', '--port', '1']

  it('makes ls report that nothing matches, not that none is suspect', async () => {
    expect(await deadpeer(['ls', ...nowhere])).toMatchObject({ code: 0, out: [none], err: [] })
    expect(await deadpeer(['ls', ...nowhere, '--suspect'])).toMatchObject({ code: 0, out: [none], err: [] })
    expect(await deadpeer(['ls', ...nowhere, '--json'])).toMatchObject({ code: 0, out: ['[', ']'], err: [] })
  })

  it('makes doctor report that it examined nothing', async () => {
    expect(await deadpeer(['doctor', ...nowhere])).toMatchObject({
      code: 2,
      out: [],
      err: [`deadpeer: nothing was examined: ${none}`],
    })
  })

  it('makes watch report that nothing matches before it waits', async () => {
    const run = await deadpeer(['watch', ...nowhere], {
      interruptWhen: (_, err) => until(() => err().length > 0),
    })
    expect(run).toMatchObject({ code: 130, out: [], err: [`deadpeer: ${none} now; waiting for one`] })
  })
})

describe('a program whose connections are all healthy', () => {
  let program: Program
  beforeAll(async () => {
    program = await startProgram()
    await program.connect(8)
  })
  afterAll(() => program.end())

  it('makes ls --suspect report how many connections it examined', async () => {
    const run = await deadpeer(['ls', '--pid', String(program.pid), '--suspect'])
    expect(run).toMatchObject({ code: 0, out: ['none of 8 connections is suspect'], err: [] })
  })
})

describe.runIf(hasNamespaces)('a process in another network namespace', () => {
  let child: ChildProcess
  let pid: number
  let fd: number
  beforeAll(async () => {
    const script = fileURLToPath(new URL('fixtures/connected-to-itself.mjs', import.meta.url))
    const inside = ['-n', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh', process.execPath, script]
    child = spawn('unshare', inside, { stdio: ['pipe', 'pipe', 'inherit'] })
    const [line] = await once(child.stdout!.setEncoding('utf8'), 'data')
    ;({ pid, fd } = JSON.parse(line))
  })
  afterAll(() => child.kill())

  it('is examined in its own namespace by doctor and ls', async () => {
    const doctor = await deadpeer(['doctor', '--pid', String(pid), '--json'])
    expect(JSON.parse(doctor.out.join('\n'))).toMatchObject({ connections: 2, read: 2, unread: 0, why: [] })
    const ls = await deadpeer(['ls', '--pid', String(pid), '--json'])
    expect(JSON.parse(ls.out.join('\n'))).toHaveLength(2)
  })

  it('makes doctor report that it examined nothing, with exit code 2, if no connection of the process matches', async () => {
    expect(await deadpeer(['doctor', '--pid', String(pid), '--port', '1'])).toMatchObject({
      code: 2,
      out: [],
      err: [`deadpeer: nothing was examined: there is no TCP connection of process ${pid} with port 1`],
    })
  })

  it('makes ls name the state if the process has connections only in other states', async () => {
    expect(await deadpeer(['ls', '--pid', String(pid), '--state', 'close-wait'])).toMatchObject({
      code: 0,
      out: [`there is no TCP socket in state close-wait of process ${pid}`],
    })
  })

  it('makes inspect show the state of the connection behind its descriptor', async () => {
    const run = await deadpeer(['inspect', `${pid}:${fd}`, '--json'])
    expect(run.code).toBe(0)
    expect(JSON.parse(run.out.join('\n'))).toMatchObject({ state: 'established', verdict: 'alive' })
    expect((await deadpeer(['inspect', `${pid}:${fd}`])).out[0]).toMatch(/^ESTAB {2}/)
  })
})

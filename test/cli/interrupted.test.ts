import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Profile, profiles } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { deadpeer } from '../support/deadpeer-command.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { type Client, type Program, startProgram } from '../support/server-process.js'

// At a Ctrl-C at any moment, each command releases the connections that it borrowed and restores their options.

const COUNT = 200
/** Without a user timeout, so that a probe must raise `count`. */
const patient: Profile = {
  enable: true,
  initialDelay: 60_000,
  interval: 20_000,
  count: 5,
  userTimeout: 0,
}
let program: Program
let clients: Client[]
const ours = () => ['--pid', String(program.pid)]

beforeAll(async () => {
  program = await startProgram()
  clients = await program.connect(COUNT)
  for (const { port } of clients) await program.ask('tune', port, patient)
}, 80_000)
afterAll(() => program.end())

/** When Ctrl-C is sent, in ms after the start. A command works for a second or two. */
const moment = fc.integer({ min: 0, max: 3_000 })
/** 130; null if the signal came before the command listened for it; 0 or 1 if the command had ended before. */
const codes = [130, null, 0, 1]

describe('Ctrl-C at any moment', () => {
  it('changes nothing during a command that only reads', { timeout: 160_000 }, async () => {
    const before = await program.profiles()
    const fd = await program.ask('fd', clients[0]!.port)
    const command = fc.constantFrom(
      ['ls', ...ours(), '--options'],
      ['inspect', `${program.pid}:${fd}`],
      ['doctor', ...ours()],
      ['watch', ...ours(), '--every', '100ms'],
    )
    await fc.assert(
      fc.asyncProperty(command, moment, async (args, ms) => {
        const { code, err } = await deadpeer(args, { interruptWhen: () => delay(ms) })
        expect(codes).toContain(code)
        expect(err).toEqual([])
        expect(await program.profiles()).toEqual(before)
      }),
      { numRuns: 10, endOnFailure: true },
    )
  })

  it('leaves all connections with their old options, or all with the new ones, during tune', {
    timeout: 160_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(moment, async (ms) => {
        const before = await program.profiles()
        const run = await deadpeer(['tune', ...ours(), '--profile', 'lan'], {
          interruptWhen: () => delay(ms),
        })
        expect(codes).toContain(run.code)
        const after = await program.profiles()
        if (run.code === 0) {
          for (const profile of after.values()) expect(profile).toMatchObject(profiles.lan)
          for (const { port } of clients) await program.ask('tune', port, patient)
        } else expect(after).toEqual(before)
      }),
      { numRuns: 8, endOnFailure: true },
    )
  })

  it.runIf(hasNetAdmin)(
    'restores all options during probe, also while probe waits',
    { timeout: 160_000 },
    async () => {
      const silent = clients.filter((_, i) => i % 20 === 0)
      const holes = silent.map(({ socket }) => blackHole(socket))
      await program.idle()
      const before = await program.profiles()
      await fc.assert(
        fc.asyncProperty(moment, async (ms) => {
          const { code } = await deadpeer(['probe', ...ours(), '--jsonl'], {
            interruptWhen: () => delay(ms),
          })
          expect(codes).toContain(code)
          expect(await program.profiles()).toEqual(before)
        }),
        { numRuns: 10, endOnFailure: true },
      )
      for (const hole of holes) hole.restore()
      await Promise.all(clients.map((client) => client.echo('still here')))
      expect(await program.ask('errors')).toEqual([])
    },
  )

  it('does not keep a connection open that its program closes', async () => {
    const [, { socket, port }] = clients as [Client, Client]
    const closed = once(socket.resume(), 'end')
    await program.ask('close', port)
    await closed
  })
})

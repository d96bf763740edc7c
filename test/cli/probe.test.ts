import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { blackHole } from '../../src/testing/index.js'
import { deadpeer, inTerminal } from '../support/deadpeer-command.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { type Client, type Program, startProgram } from '../support/server-process.js'

const COUNT = 300
let program: Program
let clients: Client[]
let silent: Client[]
const ours = () => ['probe', '--pid', String(program.pid)]
const portsOf = (some: readonly Client[]) => some.map(({ port }) => port).sort()
// biome-ignore lint/suspicious/noExplicitAny: what the shell prints
const jsonl = (lines: readonly string[]): any[] => lines.map((line) => JSON.parse(line))

beforeAll(async () => {
  program = await startProgram()
  clients = await program.connect(COUNT)
  // Every ninth, so that all four kinds are included: they alternate.
  silent = clients.filter((_, i) => i % 9 === 0)
})
afterAll(() => program.end())

describe('deadpeer probe', () => {
  it('exits with 0 if all peers respond', async () => {
    await program.idle()
    const run = await deadpeer([...ours(), '--jsonl'])
    expect(run).toMatchObject({ code: 0, err: [] })
    const answers = jsonl(run.out)
    expect(portsOf(answers.map(({ remote }) => remote))).toEqual(portsOf(clients))
    expect(answers.every(({ alive, evidence }) => alive && ['ack', 'recent'].includes(evidence))).toBe(true)
    expect(answers.some(({ evidence }) => evidence === 'ack')).toBe(true)
  })

  describe.runIf(hasNetAdmin)('deadpeer probe after some peers have vanished', () => {
    const holes: Disposable[] = []
    beforeAll(() => void holes.push(...silent.map(({ socket }) => blackHole(socket))))
    afterAll(() => {
      for (const hole of holes) hole[Symbol.dispose]()
    })

    it('finds exactly these peers, restores the options, and does not interrupt requests', async () => {
      const busy = clients[1]!
      await program.idle({ but: busy })
      const before = await program.profiles()
      let isOver = false
      const serving = (async () => {
        let served = 0
        for (; !isOver; served++) await busy.echo('request')
        return served
      })()
      const run = await deadpeer([...ours(), '--jsonl'])
      isOver = true
      expect(await serving).toBeGreaterThan(100)
      expect(run).toMatchObject({ code: 1, err: [] })
      const answers = jsonl(run.out)
      expect(answers).toHaveLength(COUNT)
      const unanswered = answers.filter(({ alive }) => alive !== true)
      expect(portsOf(unanswered.map(({ remote }) => remote))).toEqual(portsOf(silent))
      for (const each of unanswered)
        expect(each).toMatchObject({ alive: false, evidence: 'silence', attempts: 3 })
      expect(await program.profiles()).toEqual(before)
      expect(await program.ask('errors')).toEqual([])
      // Three attempts, 510 ms apart, and the wait after the last take 1.3 s. The rest is for the start of Node and a busy machine.
      expect(run.took).toBeLessThan(15_000)
    })

    it('prints a table that lists unresponsive peers first', async () => {
      await program.idle()
      const run = await deadpeer([...ours(), '--attempts', '1'])
      expect(run.code).toBe(1)
      expect(run.out[0]).toMatch(/^ANSWER +EVIDENCE +RTT +HEARD +LOCAL +PEER +PROCESS$/)
      const words = run.out.slice(1, -1).map((line) => line.split(' ')[0])
      expect(words).toEqual([
        ...silent.map(() => 'unresponsive'),
        ...clients.slice(silent.length).map(() => 'alive'),
      ])
      expect(run.out.at(-1)).toBe(
        `${COUNT - silent.length} alive, ${silent.length} unresponsive, 0 not known`,
      )
    })

    it('prints nothing at a Ctrl-C, restores all options, and exits with 130', async () => {
      await program.idle()
      const before = await program.profiles()
      const run = deadpeer([...ours(), '--attempts', '100'], { interruptWhen: changed })
      async function changed() {
        // Waits until a probe is under way: the program then reads a raised option.
        for (let now = before; sameProfiles(now, before); ) now = await program.profiles()
      }
      expect(await run).toMatchObject({ code: 130, out: [], err: [] })
      expect(await program.profiles()).toEqual(before)
    })

    it('asks before it closes connections with --kill, and closes only those with unresponsive peers', async () => {
      await program.idle()
      const once = [...ours(), '--attempts', '1', '--kill']
      const piped = await deadpeer(once)
      expect(piped.code).toBe(2)
      expect(piped.err).toEqual([
        expect.stringMatching(/There is no terminal to confirm this on: add --yes\. Nothing was changed\.$/),
      ])
      const no = await inTerminal(once, { answers: ['[y/N]', 'n\n'] })
      expect(no.code).toBe(1)
      expect(await program.ask('errors')).toEqual([])
      expect((await program.profiles()).size).toBe(COUNT)
      const yes = await inTerminal(once, {
        answers: [`Close the ${silent.length} connections whose peers are unresponsive? [y/N]`, 'y\n'],
      })
      expect(yes.code).toBe(1)
      expect(yes.out.at(-1)).toContain(`${silent.length} of ${silent.length} closed`)
      let left = await program.profiles()
      while (left.size > COUNT - silent.length) left = await program.profiles()
      expect(portsOf(clients.filter(({ port }) => left.has(port)))).toEqual(
        portsOf(clients.filter((each) => !silent.includes(each))),
      )
      await Promise.all(
        clients.filter((each) => !silent.includes(each)).map((each) => each.echo('still here')),
      )
    })
  })
})

const sameProfiles = (a: ReadonlyMap<number, object>, b: ReadonlyMap<number, object>) =>
  JSON.stringify([...a]) === JSON.stringify([...b])

describe.concurrent('deadpeer probe with bad input', () => {
  it.for<{ args: string; message: string }>([
    { args: 'probe', message: 'select connections by --pid, --port or a prefix' },
    { args: 'probe --pid 4194305', message: 'there is no process 4194305' },
    {
      args: `probe --pid ${process.pid} 192.0.2.7`,
      message: `there is no established TCP connection of process ${process.pid} with an end in 192.0.2.7`,
    },
    {
      args: 'probe --port 1 --attempts 0',
      message: "--attempts must be a whole number from 1 to 100; got '0'",
    },
    { args: 'probe --port 1 --timeout 300', message: 'must be a number with a unit' },
    { args: 'probe --port 1 --timeout -3s', message: 'must be a number with a unit' },
    {
      args: 'probe --port 1 --timeout 61s',
      message: "--timeout must be whole milliseconds from 1ms to 1m; got '61s'",
    },
    { args: 'probe --port 1 --wait 25h', message: "--wait must be a time from 0s to 1d; got '25h'" },
  ])('refuses `$args` in one line, with exit code 2', async ({ args, message }) => {
    const run = await deadpeer(args.split(' '))
    expect(run).toMatchObject({ code: 2, out: [], err: [expect.stringContaining(message)] })
  })
})

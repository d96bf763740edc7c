import { type ChildProcess, fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  borrowSocket,
  destroySocket,
  listSockets,
  readDefaults,
  readSocketOwners,
} from '../../src/host/index.js'
import { inspect, probe, profiles, tune } from '../../src/index.js'
import { nativeCore } from '../../src/kernel/binding.js'
import { readKeepaliveTimers } from '../../src/kernel/liveness.js'
import { connectPair } from '../support/connections.js'
import { deadpeer, program } from '../support/deadpeer-command.js'
import { hasNamespaces } from '../support/network-namespace.js'
import { nextMessage } from '../support/next-message.js'
import { until } from '../support/until.js'

/** A program in a network namespace that was made for it. */
interface Inhabitant {
  readonly pid: number
  // biome-ignore lint/suspicious/noExplicitAny: what fixtures/inhabitant.mjs answers
  ask(what: string, ...args: unknown[]): Promise<any>
  end(): Promise<void>
}

const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] as const
const canBeNobody = spawnSync(asNobody[0], [...asNobody.slice(1), 'true']).status === 0
const canBeRootless =
  canBeNobody && spawnSync(asNobody[0], [...asNobody.slice(1), 'unshare', '-Urn', 'true']).status === 0

/** For what is run by its name. */
const bin = publicFolder()

const upAndThen = ['sh', '-c', 'ip link set lo up && exec "$@"', 'sh'] as const

async function settle(command: readonly string[], node = process.execPath): Promise<Inhabitant> {
  const script = fileURLToPath(new URL('fixtures/inhabitant.mjs', import.meta.url))
  const [execPath = '', ...execArgv] = [...command, node]
  const child: ChildProcess = fork(script, {
    execPath,
    execArgv,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const ask = async (...message: unknown[]) => {
    child.send(message)
    return (await nextMessage(child)).value
  }
  // setpriv, unshare and sh each become the next: the id stays.
  await ask('connect', 0)
  return {
    pid: child.pid!,
    ask,
    async end() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

// biome-ignore lint/suspicious/noExplicitAny: what the shell prints
const jsonl = (lines: readonly string[]): any[] => lines.map((line) => JSON.parse(line))

describe.runIf(hasNamespaces)('a process in another network namespace', () => {
  let other: Inhabitant
  let ports: number[]
  beforeAll(async () => {
    other = await settle(['unshare', '-n', ...upAndThen])
    ports = await other.ask('connect', 5)
  })
  afterAll(() => other.end())

  const clientsOf = async (pid: number) =>
    [...(await listSockets({ pid, states: ['established'], info: true }))].filter(({ local }) =>
      ports.includes(local.port),
    )

  it('has its sockets listed by pid, and ours without pid', async () => {
    const { socket } = await connectPair()
    const theirs = await listSockets({ pid: other.pid })
    const states = [...theirs].map(({ state }) => state)
    expect(states.filter((state) => state === 'established').length).toBe(10)
    expect(states.filter((state) => state === 'listen').length).toBe(1)
    const cookies = new Set([...theirs].map(({ cookie }) => cookie))
    const ours = [...(await listSockets())]
    expect(ours.some(({ cookie }) => cookies.has(cookie))).toBe(false)
    const own = [...(await listSockets({ pid: process.pid, localPort: socket.localPort! }))]
    expect(own.length).toBeGreaterThan(0)
    socket.destroy()
  })

  it('keeps every thread of this process in its own namespace, whatever is listed at the same time', async () => {
    const rounds = Array.from({ length: 60 }, (_, i) => i % 2 === 0)
    const lists = await Promise.all(
      rounds.map((isTheirs) => listSockets({ states: ['listen'], ...(isTheirs && { pid: other.pid }) })),
    )
    const [theirs] = [...lists[0]!].map(({ cookie }) => cookie)
    for (const [i, list] of lists.entries()) {
      const cookies = [...list].map(({ cookie }) => cookie)
      if (rounds[i]) expect(cookies).toEqual([theirs])
      else expect(cookies).not.toContain(theirs)
    }
    const home = readlinkSync('/proc/thread-self/ns/net')
    for (const task of readdirSync('/proc/self/task')) {
      expect(readlinkSync(`/proc/self/task/${task}/ns/net`)).toBe(home)
    }
  })

  it('has the owner and the descriptor of a listed connection found', async () => {
    const records = await clientsOf(other.pid)
    expect(records.length).toBe(5)
    const owners = await readSocketOwners(records.map(({ inode }) => inode))
    for (const { inode, local, cookie, info } of records) {
      const [owner] = owners.get(inode!)!
      expect(owner).toMatchObject({ pid: other.pid, fd: await other.ask('fd', local.port) })
      const socket = borrowSocket(owner!.pid, owner!.fd)
      expect(socket.cookie).toBe(cookie)
      expect(inspect(socket).info!.segsOut).toBeGreaterThanOrEqual(info!.segsOut!)
    }
  })

  it('has a borrowed connection tuned and probed', async () => {
    const [port] = ports as [number]
    const socket = borrowSocket(other.pid, await other.ask('fd', port))
    tune(socket, 'lan')
    expect(await other.ask('profile', port)).toMatchObject({ enable: true, initialDelay: 3_000 })
    await until(async () => (await other.ask('idle', port)) > 1_100)
    expect(await probe(socket)).toMatchObject({ alive: true, evidence: 'ack', attempts: 1 })
  })

  it('has the keepalive timer of a borrowed connection read, which a probe restores', async () => {
    const [, port] = ports as [number, number]
    const socket = borrowSocket(other.pid, await other.ask('fd', port))
    tune(socket, { initialDelay: 50_000, interval: 5_000, count: 3 })
    const core = nativeCore()!
    const timer = (pid: number | undefined) =>
      socket.use((fd) => readKeepaliveTimers(core, [{ fd, cookie: socket.cookie }], pid))[0]
    const [before, due, after] = [await expires(port), timer(other.pid)!, await expires(port)]
    expect(due).toBeLessThanOrEqual(before)
    expect(due).toBeGreaterThanOrEqual(after)
    expect(timer(undefined)).toBeUndefined()
  })

  const expires = async (port: number) => {
    const [record] = await listSockets({ pid: other.pid, localPort: port })
    return record!.expires!
  }

  it('shares no socket cookie with another namespace', async () => {
    const second = await settle(['unshare', '-n', ...upAndThen])
    try {
      await second.ask('connect', 20)
      const lists = await Promise.all([other.pid, second.pid, undefined].map((pid) => listSockets({ pid })))
      const cookies = lists.flatMap((list) => [...list].map(({ cookie }) => cookie))
      expect(lists[1]!.length).toBe(41)
      expect(new Set(cookies).size).toBe(cookies.length)
    } finally {
      await second.end()
    }
  })

  it('has the sysctls of its namespace read', () => {
    const write = ['--net', '--target', String(other.pid), 'sysctl', '-qw', 'net.ipv4.tcp_keepalive_time=77']
    expect(spawnSync('nsenter', write).status).toBe(0)
    expect(readDefaults({ pid: other.pid }).initialDelay).toBe(77_000)
    const own = readDefaults()
    expect(own.initialDelay).not.toBe(77_000)
    expect(readDefaults({ pid: process.pid })).toEqual(own)
  })

  it('has a socket destroyed there, and none with the same addresses here', async () => {
    const [, , , , port] = ports as [number, number, number, number, number]
    const record = (await clientsOf(other.pid)).find(({ local }) => local.port === port)!
    expect(() => destroySocket(record)).toThrow(expect.objectContaining({ code: 'ENOENT' }))
    expect(await other.ask('isOpen', port)).toBe(true)
    destroySocket(record, { pid: other.pid })
    await until(async () => !(await other.ask('isOpen', port)))
    expect(() => destroySocket(record, { pid: other.pid })).toThrow(
      expect.objectContaining({ code: 'ENOENT' }),
    )
    ports.pop()
  })

  it('is reported as missing if there is no such process', async () => {
    const gone = await settle(['unshare', '-n', ...upAndThen])
    await gone.end()
    const noSuchProcess = expect.objectContaining({ code: 'ESRCH', field: 'pid', errno: -3 })
    await expect(listSockets({ pid: gone.pid })).rejects.toEqual(noSuchProcess)
    expect(() => readDefaults({ pid: gone.pid })).toThrow(noSuchProcess)
  })

  describe('the commands with --pid of a process in another network namespace', () => {
    const pid = () => ['--pid', String(other.pid)]

    it('lists its connections by ls, with options and owner', async () => {
      const run = await deadpeer(['ls', ...pid(), '--options', '--jsonl'])
      expect(run).toMatchObject({ code: 0, err: [] })
      const listed = jsonl(run.out)
      expect(listed.length).toBe(8)
      for (const each of listed) expect(each.processes[0].pid).toBe(other.pid)
      for (const port of ports) {
        const { profile } = listed.find(({ local }) => local.port === port)
        expect(profile).toEqual(await other.ask('profile', port))
      }
    })

    it('compares its options with the defaults of its namespace by inspect', async () => {
      const [, , , port] = ports as [number, number, number, number]
      const run = await deadpeer(['inspect', `${other.pid}:${await other.ask('fd', port)}`, '--json'])
      expect(run).toMatchObject({ code: 0, err: [] })
      const { state, profile, equalsDefault } = JSON.parse(run.out.join('\n'))
      expect(state).toBe('established')
      // As the test above wrote it.
      expect(profile.initialDelay).toBe(77_000)
      expect(equalsDefault).toContain('initialDelay')
    })

    it('sets the options of its connections with tune', async () => {
      const run = await deadpeer(['tune', ...pid(), '--profile', 'cloud', '--json'])
      expect(run).toMatchObject({ code: 0, err: [] })
      for (const port of ports) {
        expect(await other.ask('profile', port)).toMatchObject(profiles.cloud)
      }
    })

    it('probes its connections, and closes the one with an unresponsive peer by --kill', async () => {
      const [, , silent] = ports as [number, number, number]
      await until(async () => (await other.ask('idle', silent)) > 1_100)
      await other.ask('silence', silent)
      const run = await deadpeer(['probe', ...pid(), '--kill', '--yes', '--wait', '0s', '--jsonl'])
      expect(run.code).toBe(1)
      const answers = jsonl(run.out)
      const ofClients = answers.filter(({ local }) => ports.includes(local.port))
      expect(ofClients.filter(({ alive }) => alive === false).map(({ local }) => local.port)).toEqual([
        silent,
      ])
      // The filter makes both ends silent. Closing the client's first resets the other.
      expect(run.err).toContainEqual(expect.stringMatching(/^[12] of 2 closed$/))
      await until(async () => !(await other.ask('isOpen', silent)))
    })

    it('examines its connections by doctor', async () => {
      const run = await deadpeer(['doctor', ...pid(), '--json'])
      const { connections } = JSON.parse(run.out.join('\n'))
      expect(connections).toBeGreaterThanOrEqual(6)
    })

    it('reports a peer that stops answering in watch, and ends with the process', async () => {
      const watched = await settle(['unshare', '-n', ...upAndThen])
      const [port] = await watched.ask('connect', 3)
      tune(borrowSocket(watched.pid, await watched.ask('fd', port)), {
        initialDelay: 1_000,
        interval: 1_000,
        count: 9,
        userTimeout: 0,
      })
      await watched.ask('silence', port)
      let isEnded = false
      const run = await deadpeer(['watch', '--pid', String(watched.pid), '--every', '100ms', '--jsonl'], {
        // Ends the process instead; the interrupt that follows meets a command that has ended.
        interruptWhen: async (out) => {
          await until(() => out().length > 0)
          await watched.end()
          isEnded = true
          await new Promise((resolve) => setTimeout(resolve, 2_000))
        },
      })
      expect(isEnded).toBe(true)
      expect(run).toMatchObject({ code: 0, err: [] })
      expect(jsonl(run.out)[0]).toMatchObject({ event: 'suspect', local: { port } })
    })
  })
})

/** A folder that every user may search. It goes when the file is done. */
function publicFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'deadpeer-bin-'))
  chmodSync(folder, 0o755)
  afterAll(() => rmSync(folder, { recursive: true }))
  return folder
}

/** Runs the command that an error line ends with, `deadpeer` being this one. */
function runPrinted(
  line: string,
  { before = [], node = process.execPath }: { before?: readonly string[]; node?: string } = {},
) {
  const [, command = ''] = /CAP_SYS_ADMIN: (?:sudo )?(nsenter .*)$/.exec(line) ?? []
  writeFileSync(join(bin, 'deadpeer'), `#!/bin/sh\nexec "${node}" "${program}" "$@"\n`)
  chmodSync(join(bin, 'deadpeer'), 0o755)
  const [file = '', ...args] = [...before, 'sh', '-c', command]
  return spawnSync(file, args, {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
  })
}

describe.runIf(hasNamespaces && canBeNobody)(
  'an ordinary user and a process in another network namespace',
  () => {
    let own: Inhabitant
    let roots: Inhabitant
    beforeAll(async () => {
      own = await settle(['unshare', '-n', ...upAndThen, ...asNobody])
      roots = await settle(['unshare', '-n', ...upAndThen])
      await own.ask('connect', 2)
    })
    afterAll(async () => {
      await own.end()
      await roots.end()
    })

    it('cannot list the namespace of their own process, and gets an error that names the required capability', async () => {
      const script = `
      import { listSockets, readDefaults } from '${new URL('../../dist/host/index.js', import.meta.url)}'
      const told = ({ code, syscall, message }) => console.log(JSON.stringify({ code, syscall, message }))
      await listSockets({ pid: ${own.pid} }).catch(told)
      try { readDefaults({ pid: ${own.pid} }) } catch (error) { told(error) }`
      const [file, ...args] = [...asNobody, process.execPath, '--input-type=module', '-e', script]
      const { stdout } = spawnSync(file!, args, { encoding: 'utf8' })
      const refusal = {
        code: 'EPERM',
        syscall: 'setns',
        message: `This process may not enter the network namespace of process ${own.pid} (EPERM). Run with CAP_SYS_ADMIN, both here and in that namespace.`,
      }
      expect(jsonl(stdout.trim().split('\n'))).toEqual([refusal, refusal])
    })

    it.each<{ command: string; whose: 'own' | 'roots' }>([
      { command: 'ls --options', whose: 'own' },
      { command: 'probe --attempts 2', whose: 'own' },
      { command: 'tune --profile cloud', whose: 'own' },
      { command: 'doctor', whose: 'own' },
      { command: 'watch', whose: 'own' },
      { command: 'ls', whose: 'roots' },
      { command: 'doctor --json', whose: 'roots' },
    ])(
      'gets the nsenter command in one line for $command of a process ($whose)',
      async ({ command, whose }) => {
        const { pid } = whose === 'own' ? own : roots
        const words = `${command} --pid ${pid}`
        expect(await deadpeer(words.split(' '), { before: asNobody })).toEqual(
          expect.objectContaining({
            code: 2,
            out: [],
            err: [
              `deadpeer: process ${pid} is in another network namespace, and entering that takes CAP_SYS_ADMIN: sudo nsenter --net --target ${pid} deadpeer ${words}`,
            ],
          }),
        )
      },
    )

    it("gets the nsenter command for inspect of root's process too, before its descriptor is borrowed", async () => {
      const words = `inspect ${roots.pid}:3`
      const { code, err } = await deadpeer(words.split(' '), { before: asNobody })
      expect({ code, err }).toEqual({
        code: 2,
        err: [
          expect.stringMatching(
            new RegExp(`CAP_SYS_ADMIN: sudo nsenter --net --target ${roots.pid} deadpeer ${words}$`),
          ),
        ],
      })
    })

    it('gets the nsenter command for inspect of their own process', async () => {
      const [port] = await own.ask('connect', 0)
      const words = ['inspect', `${own.pid}:${await own.ask('fd', port)}`]
      expect(await deadpeer(words, { before: asNobody })).toMatchObject({
        code: 2,
        out: [],
        err: [expect.stringMatching(`sudo nsenter --net --target ${own.pid} deadpeer ${words.join(' ')}$`)],
      })
    })

    it('gets an nsenter command that root can run as printed', async () => {
      const args = ['ls', '127.0.0.1', '--pid', String(own.pid), '--jsonl']
      const { err } = await deadpeer(args, { before: asNobody })
      const { stdout, status } = runPrinted(err[0]!)
      expect(status).toBe(0)
      expect(jsonl(stdout.trim().split('\n')).length).toBe(4)
    })

    it.runIf(canBeRootless)(
      'gets an nsenter command without sudo for a process in its own user namespace',
      async () => {
        // In their own user namespace the user has no rights to root's folders, and Node may be installed in one of them. So the test copies
        // Node to another folder. With setpriv alone the rights to execute it are kept.
        const node = join(bin, 'node')
        copyFileSync(process.execPath, node)
        const rootless = await settle([...asNobody, 'unshare', '-Urn', ...upAndThen], node)
        try {
          await rootless.ask('connect', 3)
          const { err, code } = await deadpeer(['ls', '--pid', String(rootless.pid), '--jsonl'], {
            before: asNobody,
          })
          expect(code).toBe(2)
          expect(err).toEqual([
            expect.stringMatching(
              `: nsenter --user --preserve-credentials --net --target ${rootless.pid} deadpeer ls --pid ${rootless.pid} --jsonl$`,
            ),
          ])
          const { stdout, status } = runPrinted(err[0]!, { before: asNobody, node })
          expect(status).toBe(0)
          expect(jsonl(stdout.trim().split('\n')).length).toBe(6)
        } finally {
          await rootless.end()
        }
      },
    )
  },
)

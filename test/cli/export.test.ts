import http from 'node:http'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HostView } from '../../src/cli/commands/export/host-view.js'
import { NOBODY, ProcessGroups, UNKNOWN } from '../../src/cli/commands/export/process-groups.js'
import { listSockets } from '../../src/host/index.js'
import { blackHole } from '../../src/testing/index.js'
import { connect, listen } from '../support/connections.js'
import { deadpeer, type Run, type RunOptions } from '../support/deadpeer-command.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { complaintsOfPromtool, Exposition, hasPromtool } from '../support/prometheus-exposition.js'
import {
  type Client,
  canDropCapabilities,
  type Program,
  startProgram,
  withoutCapabilities,
} from '../support/server-process.js'
import { until } from '../support/until.js'

let program: Program
let clients: Client[]

/** Names that no other test's processes have. */
const NAME = `held-${process.pid}`
const ours = { process: NAME }

beforeAll(async () => {
  program = await startProgram()
  await program.ask('rename', NAME)
  clients = await program.connect(8)
})
afterAll(() => program.end())

interface Exporter {
  readonly url: string
  scrape(): Promise<Exposition>
  text(): Promise<string>
}

/** Runs `deadpeer export` on a free port until `use` is done, and then sends Ctrl-C. */
async function exporting(
  args: readonly string[],
  use: (exporter: Exporter) => Promise<void>,
  options: RunOptions = {},
): Promise<Run> {
  return deadpeer(['export', '--listen', '0', ...args], {
    ...options,
    interruptWhen: async (out) => {
      // The command takes its first sample before it listens. On a busy machine, finding the owners of all connections takes seconds.
      await until(() => out().length > 0, 30_000)
      const url = out()[0]!.replace(/^listening on /, '')
      const text = async () => {
        const response = await fetch(url)
        expect(response.status).toBe(200)
        return response.text()
      }
      await use({ url, text, scrape: async () => new Exposition(await text()) })
    },
  })
}

/** With such an interval only scrapes take samples. */
const BY_SCRAPES_ALONE = ['--every', '1d']
const established = (verdict: string) => ({ state: 'established', verdict, ...ours })
const listed = (told: Exposition) =>
  told.value('deadpeer_connections', established('alive'))! +
  told.value('deadpeer_connections', established('suspect'))!

/** Each connection that became suspect is still suspect, or has recovered, died or ended. */
function expectBalance(told: Exposition): void {
  const of = (name: string) => told.sum(`deadpeer_${name}_total`, ours)
  const suspect = told.sum('deadpeer_connections', { verdict: 'suspect', ...ours })
  expect(suspect).toBe(of('suspicions') - of('recoveries') - of('deaths') - of('suspects_ended'))
}

/** Unacknowledged probes or retransmissions of the program's end; `undefined` after the connection has ended. */
async function retriesOf({ port, socket }: Client): Promise<number | undefined> {
  const [record] = await listSockets({
    localPort: socket.remotePort!,
    remotePort: port,
    states: ['established'],
  })
  return record?.retries
}

const canSeeAll = process.getuid?.() === 0

// A sample reads the descriptors of all processes. That takes seconds if others have tens of thousands and the machine is busy.
describe('deadpeer export', { timeout: 120_000 }, () => {
  it('prints where it listens, serves series for each process, and ends with Ctrl-C', async () => {
    const run = await exporting(['--process', NAME], async ({ url, scrape }) => {
      expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/)
      const told = await scrape()
      expect(listed(told)).toBe(8)
      expect(told.valuesOf('process')).toEqual(
        new Set([NAME, '(other processes)', '(unknown process)', '(without process)']),
      )
      expect(told.value('deadpeer_host_established_connections')).toBeGreaterThanOrEqual(16)
      // The series exists before the first death, so that Prometheus counts its first increase.
      expect(told.value('deadpeer_deaths_total', { ...ours, reason: 'keepalive' })).toBe(0)
    })
    expect(run).toMatchObject({ code: 130, err: [] })
    expect(run.out).toHaveLength(1)
  })

  it.runIf(hasPromtool)('writes metrics that promtool accepts', async () => {
    await exporting([], async ({ text }) => {
      const told = await text()
      expect(complaintsOfPromtool(told)).toBe('')
      expect(complaintsOfPromtool(told.replaceAll('_total', '_gauge'))).not.toBe('')
    })
  })

  it('serves GET with type and length, serves HEAD, and answers 404 and 405 for other paths and methods', async () => {
    await exporting(['--process', NAME], async ({ url }) => {
      const got = await fetch(url)
      expect(got.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
      expect(Number(got.headers.get('content-length'))).toBe((await got.arrayBuffer()).byteLength)
      const head = await fetch(url, { method: 'HEAD' })
      expect([head.status, await head.text()]).toEqual([200, ''])
      const post = await fetch(url, { method: 'POST', body: 'x' })
      expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
      expect((await fetch(new URL('/', url))).status).toBe(200)
      expect((await fetch(new URL('/metrics/x', url))).status).toBe(404)
      expect((await fetch(`${url}?name[]=up`)).status).toBe(200)
      // Input that is not HTTP ends only its own connection.
      const { port } = new URL(url)
      const socket = net.connect(Number(port), '127.0.0.1').end('\x16\x03\x01 hello?\r\n\r\n')
      await new Promise((resolve) => socket.resume().once('close', resolve))
      expect((await fetch(url)).status).toBe(200)
    })
  })

  it('answers simultaneous scrapes from one sample', async () => {
    await exporting([...BY_SCRAPES_ALONE, '--process', NAME], async ({ scrape }) => {
      const before = (await scrape()).value('deadpeer_export_looks_total')!
      const told = await Promise.all(Array.from({ length: 30 }, scrape))
      for (const each of told) expect(listed(each)).toBe(8)
      const after = (await scrape()).value('deadpeer_export_looks_total')!
      // Scrapes that arrive during a sample share the next one.
      expect(after - before).toBeLessThanOrEqual(10)
      expect(after - before).toBeGreaterThanOrEqual(2)
    })
  })

  it.runIf(hasNetAdmin)('counts a death in the right series at the next scrape', async () => {
    const [kept, busy] = clients as [Client, Client]
    // The connections stay suspect for long enough, even if a sample takes seconds.
    await program.ask('tune', kept.port, { initialDelay: 1_000, interval: 1_000, count: 8 })
    await program.ask('tune', busy.port, { userTimeout: 8_000 })
    await exporting([...BY_SCRAPES_ALONE, '--process', NAME], async ({ scrape }) => {
      const before = await scrape()
      const holes = [kept, busy].map(({ socket }) => blackHole(socket))
      await program.ask('write', busy.port, 'anybody?')
      let told = before
      while (told.value('deadpeer_connections', established('suspect')) !== 2) {
        await delay(50)
        told = await scrape()
        expect(told.sum('deadpeer_deaths_total', ours)).toBe(0)
        expectBalance(told)
      }
      expect(told.value('deadpeer_connections', established('alive'))).toBe(6)
      expect(told.value('deadpeer_suspicions_total', ours)).toBe(2)
      expect(told.value('deadpeer_unanswered_probes', ours)).toBeGreaterThanOrEqual(1)
      expect(told.value('deadpeer_unanswered_retransmissions', ours)).toBeGreaterThanOrEqual(1)
      while ((await Promise.all([kept, busy].map(retriesOf))).some((retries) => retries !== undefined)) {
        await delay(50)
        expectBalance(await scrape())
      }
      const after = await scrape()
      // Connections of other tests die as well.
      const isOurs = (key: string) => key.startsWith(`deadpeer_deaths_total{process="${NAME}"`)
      const deaths = [...after.series].filter(([key, value]) => isOurs(key) && value > 0)
      expect(Object.fromEntries(deaths)).toEqual({
        [`deadpeer_deaths_total{process="${NAME}",reason="keepalive"}`]: 1,
        [`deadpeer_deaths_total{process="${NAME}",reason="user-timeout"}`]: 1,
      })
      expect(listed(after)).toBe(6)
      expect(after.value('deadpeer_unanswered_probes', ours)).toBe(0)
      expect(after.value('deadpeer_host_aborts_on_timeout_total')).toBeGreaterThanOrEqual(
        before.value('deadpeer_host_aborts_on_timeout_total')! + 2,
      )
      for (const hole of holes) hole.restore()
    })
  })

  it('samples connections between two scrapes', async () => {
    await exporting(['--every', '100ms', '--process', NAME], async ({ scrape }) => {
      const looks = async () => (await scrape()).value('deadpeer_export_looks_total')!
      const before = await looks()
      // Each scrape takes one sample. On a busy machine a sample takes up to a second.
      let after = await looks()
      for (let scrapes = 1; after - before <= scrapes; scrapes++) {
        expect(scrapes).toBeLessThan(20)
        await delay(1_000)
        after = await looks()
      }
    })
  })

  it.runIf(hasNetAdmin)('counts connections that opened and closed between two samples', async () => {
    const [, , deaf, zombie, restarted] = clients as [Client, Client, Client, Client, Client]
    for (const { port } of [deaf, restarted]) {
      await program.ask('tune', port, { initialDelay: 1_000, interval: 1_000, count: 20 })
    }
    await program.ask('stall', zombie.port)
    await program.ask('tune', zombie.port, { initialDelay: 1_000, interval: 1_000, count: 2 })
    const [hole] = [deaf, zombie, restarted].map(({ socket }) => blackHole(socket))
    const view = new HostView(new ProcessGroups([NAME]), new AbortController().signal)
    const lookUntil = async (holds: () => Promise<boolean>) => {
      while (!(await holds())) await delay(50)
      await view.countChanges()
    }
    await lookUntil(async () =>
      (await Promise.all([deaf, zombie, restarted].map(retriesOf))).every((retries) => retries! > 0),
    )
    hole!.restore()
    restarted.socket.resetAndDestroy()
    await lookUntil(async () => (await retriesOf(restarted)) === undefined)
    await lookUntil(async () => (await retriesOf(deaf)) === 0)
    await lookUntil(async () => (await retriesOf(zombie)) === undefined)
    const { tallies, connections } = await view.sample()
    expect(tallies.get(NAME)).toEqual({
      suspicions: 3,
      recoveries: 1,
      deaths: { keepalive: 1, 'user-timeout': 0, retransmission: 0, reset: 0 },
      unnoticed: 1,
      ended: 1,
    })
    expect(connections.filter(({ process, verdict }) => process === NAME && verdict === 'suspect')).toEqual(
      [],
    )
  })

  it.runIf(canSeeAll)(
    'does not count a connection that closes during a sample as one of an unknown process',
    async () => {
      const view = new HostView(new ProcessGroups(), new AbortController().signal)
      let unknown = 0
      let most = 0
      // The connections must close after they are listed and before their owners are read. That takes from 20 ms to seconds.
      for (let ms = 5; most <= 20 && ms < 5_000; ms *= 2) {
        const pairs = await connect(50)
        const looking = view.sample()
        await delay(ms)
        for (const { socket, peer } of pairs) {
          socket.destroy()
          peer.destroy()
        }
        const { connections } = await looking
        const sum = (name: string) =>
          connections.filter(({ process }) => process === name).reduce((total, { count }) => total + count, 0)
        unknown += sum(UNKNOWN)
        most = Math.max(most, sum(NOBODY))
      }
      expect(most).toBeGreaterThan(20)
      // Processes of other tests may hand a connection over at that moment.
      expect(unknown).toBeLessThan(10)
    },
  )

  it('sends a response whose length does not grow with the number of remote addresses', async () => {
    const server = net.createServer().on('connection', (peer) => peer.on('error', () => {}))
    const port = await listen(server)
    const sockets: net.Socket[] = []
    try {
      await exporting([], async ({ text }) => {
        const before = await text()
        for (let i = 0; i < 2_000; i += 200) {
          const some = Array.from({ length: 200 }, (_, j) => {
            const localAddress = `127.1.${(i + j) >> 8}.${(i + j) & 255}`
            return net.connect({ host: '127.0.0.1', port, localAddress })
          })
          sockets.push(...some)
          await Promise.all(some.map((socket) => new Promise((resolve) => socket.once('connect', resolve))))
        }
        const after = await text()
        expect(new Exposition(after).sum('deadpeer_connections')).toBeGreaterThan(4_000)
        // A process that starts in the meantime adds some 1,500 bytes.
        expect(after.length).toBeLessThan(before.length + 8_000)
      })
    } finally {
      for (const socket of sockets) socket.destroy()
      server.close()
    }
  })

  it('ends without an error at a Ctrl-C during scrapes', async () => {
    const failures: unknown[] = []
    const asking: Promise<void>[] = []
    const run = await exporting(['--every', '100ms'], async ({ url }) => {
      await fetch(url)
      for (let i = 0; i < 20; i++) {
        asking.push(
          new Promise<void>((resolve) => {
            http
              .get(url, (response) => response.resume().on('close', resolve))
              .on('error', ({ code }: NodeJS.ErrnoException) => {
                failures.push(code)
                resolve()
              })
          }),
        )
      }
      await delay(5)
    })
    expect(run).toMatchObject({ code: 130, err: [] })
    await Promise.all(asking)
    for (const code of failures) expect(['ECONNRESET', 'ECONNREFUSED']).toContain(code)
  })

  it('says in one line that prom-client is not installed', async () => {
    const hooks = `export const resolve = (specifier, context, next) => {
      if (specifier !== 'prom-client') return next(specifier, context)
      throw Object.assign(new Error("Cannot find package 'prom-client'"), { code: 'ERR_MODULE_NOT_FOUND' })
    }`
    const register = `import { register } from 'node:module'
      register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hooks)}))`
    const env = {
      NODE_OPTIONS: `--no-warnings --import=data:text/javascript,${encodeURIComponent(register)}`,
    }
    const run = await deadpeer(['export', '--listen', '0'], { env })
    expect(run).toMatchObject({
      code: 2,
      out: [],
      err: [
        'deadpeer: export needs prom-client: npm install prom-client, or npx -p deadpeer -p prom-client deadpeer export',
      ],
    })
    // No other command needs prom-client.
    expect(await deadpeer(['ls', '--port', '1'], { env })).toMatchObject({ code: 0, err: [] })
  })

  it.runIf(canDropCapabilities)(
    'still counts connections whose owner it may not read, and says so',
    async () => {
      const run = await exporting(
        [],
        async ({ scrape }) => {
          const told = await scrape()
          expect(told.valuesOf('process')).not.toContain(NAME)
          const unknown = { ...established('alive'), process: '(unknown process)' }
          expect(told.value('deadpeer_connections', unknown)).toBeGreaterThanOrEqual(3)
        },
        { before: withoutCapabilities },
      )
      expect(run.code).toBe(130)
      expect(run.err).toEqual([
        expect.stringMatching(
          /^deadpeer: not permitted to see the owning process of \d+ of \d+ connections, exported as \(unknown process\): run with CAP_SYS_PTRACE/,
        ),
      ])
    },
  )
})

describe.concurrent('deadpeer export with bad input', () => {
  it.for<{ args: string; message: string }>([
    { args: 'export --listen nowhere', message: '--listen must be a port, or an address and a port' },
    { args: 'export --listen localhost:9733', message: '--listen must be a port, or an address and a port' },
    { args: 'export --listen :9733', message: '--listen must be a port, or an address and a port' },
    { args: 'export --listen ::1:9733', message: '--listen must be a port, or an address and a port' },
    { args: 'export --listen 127.0.0.1:65536', message: '--listen must be a port, or an address and a port' },
    {
      args: 'export --listen 192.0.2.1:9733',
      message:
        'deadpeer: cannot listen on 192.0.2.1:9733: this host does not have the address (EADDRNOTAVAIL)',
    },
    { args: 'export --every 10ms', message: 'must be a time from 100ms to 1d; got' },
    {
      args: 'export --process a-name-of-16-byt',
      message: '--process must be the name of a process as in ps -o comm, which has 1 to 15 bytes',
    },
    {
      args: 'export --process=',
      message: '--process must be the name of a process as in ps -o comm, which has 1 to 15 bytes',
    },
    { args: 'export --json', message: "unknown option '--json'" },
    { args: 'export 10.0.0.0/8', message: 'too many arguments' },
  ])('refuses `$args` in one line, with exit code 2', async ({ args, message }) => {
    const run = await deadpeer(args.split(' '))
    expect(run).toMatchObject({ code: 2, out: [], err: [expect.stringContaining(message)] })
  })

  it('refuses an address that is in use', async () => {
    const server = net.createServer()
    const port = await listen(server)
    const run = await deadpeer(['export', '--listen', `127.0.0.1:${port}`])
    server.close()
    expect(run).toMatchObject({
      code: 2,
      out: [],
      err: [
        `deadpeer: cannot listen on 127.0.0.1:${port}: another program uses it. Choose another port with --listen`,
      ],
    })
  })
})

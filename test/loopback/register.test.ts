import { type ChildProcess, fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import tls from 'node:tls'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { inspect, type Profile, profiles } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { certificate } from '../support/certificate.js'
import { listen } from '../support/connections.js'
import { connectionsOf } from '../support/connections-of-process.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { nextMessage } from '../support/next-message.js'
import { until } from '../support/until.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const script = fileURLToPath(new URL('fixtures/unmodified.mjs', import.meta.url))

/** Our ends, by the port at theirs. */
const peers = new Map<number, net.Socket>()
const keep = (peer: net.Socket) => peers.set(peer.remotePort!, peer.on('error', () => {}).resume())
const plain = net.createServer(keep)
const secure = tls.createServer(certificate(), (peer) => peer.on('error', () => {}).resume())
secure.on('connection', keep)
const web = http.createServer((request, response) => response.end(String(request.socket.remotePort)))
web.keepAliveTimeout = 60_000
web.on('connection', keep)
const ports = { plain: await listen(plain), secure: await listen(secure), web: await listen(web) }

const ending: (() => void)[] = []
afterAll(() => {
  for (const end of ending) end()
  for (const server of [plain, secure, web]) server.close()
  for (const peer of peers.values()) peer.destroy()
})

interface Program {
  readonly child: ChildProcess
  /** The port at its own end, or the port it listens on. */
  readonly ports: Record<string, number>
  readonly messages: { error?: string; code?: string; kind?: string; done?: object }[]
  readonly stderr: () => string
}

async function start(env: Record<string, string>): Promise<Program> {
  const { key, cert } = certificate()
  const argument = JSON.stringify([ports.plain, ports.secure, ports.web, `${key}`, `${cert}`])
  const child = fork(script, [argument], {
    cwd: root,
    execArgv: ['--import', 'deadpeer/register'],
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  ending.push(() => child.kill('SIGKILL'))
  let stderr = ''
  child.stderr!.on('data', (data) => (stderr += data))
  const { ports: theirs } = await nextMessage(child)
  const messages: Program['messages'] = []
  child.on('message', (message) => messages.push(message as never))
  return { child, ports: theirs, messages, stderr: () => stderr }
}

/** What every connection of the program has, read from outside. */
async function optionsOf({ child, ports: theirs }: Program): Promise<Record<string, Profile | undefined>> {
  const accepted: net.Socket[] = []
  for (const name of ['accepted', 'accepted by TLS', 'accepted by HTTPS']) {
    const socket = net.connect(theirs[name]!, '127.0.0.1').on('error', () => {})
    accepted.push(socket)
    await once(socket, 'connect')
  }
  ending.push(() => {
    for (const socket of accepted) socket.destroy()
  })
  const own = Object.entries(theirs)
  const count = () => connectionsOf(child.pid!)
  let found = await count()
  // An accepted connection is established before the program has it.
  const deadline = performance.now() + 10_000
  while (own.some(([, port]) => !found.has(port)) && performance.now() < deadline) found = await count()
  return Object.fromEntries(
    own.map(([name, port]) => {
      const connection = found.get(port)
      return [name, connection && inspect(connection.socket).profile]
    }),
  )
}

const ways = [
  'net.connect',
  'a name',
  'new Socket',
  'tls.connect',
  'TLS over a socket',
  'http.get',
  'fetch',
  'accepted',
  'accepted by TLS',
  'accepted by HTTPS',
]

describe('deadpeer/register', () => {
  it('tunes every connection that a program opens or accepts', async () => {
    const program = await start({ DEADPEER_PROFILE: 'datacenter' })
    const options = await optionsOf(program)
    expect(Object.keys(options)).toEqual(ways)
    for (const way of ways) expect(options[way], way).toMatchObject(profiles.datacenter)
    expect(program.stderr()).toBe('')
  })

  it('applies cloud without any variable, and accepts a profile in JSON', async () => {
    const json = '{"initialDelay": 11000, "interval": 4000, "count": 5}'
    const [plain, custom] = await Promise.all([start({}), start({ DEADPEER_PROFILE: json })])
    expect((await optionsOf(plain))['new Socket']).toMatchObject(profiles.cloud)
    const options = await optionsOf(custom)
    for (const way of ways) expect(options[way], way).toMatchObject(JSON.parse(json))
  })

  it('turns keepalive off on a path that does not acknowledge all probes, also where Node or a library turns it on', async () => {
    const program = await start({ DEADPEER_PATH: 'docker-desktop-mac' })
    const options = await optionsOf(program)
    for (const way of ways) expect(options[way], way).toMatchObject({ enable: false, userTimeout: 120_000 })
    expect(program.stderr()).toBe('')
  })

  it('leaves everything as it is with DEADPEER=off', async () => {
    const [off, none] = await Promise.all([start({ DEADPEER: 'off', DEADPEER_PROFILE: 'cluod' }), bare()])
    expect(await optionsOf(off)).toEqual(await optionsOf(none))
  })

  it('follows DEADPEER_RULES by port, name and address, and does not tune connections whose rule is off', async () => {
    const rules = `${ports.secure}=lan, *.localhost=patient, localhost:${ports.plain}=mobile, ${ports.web}=off`
    const program = await start({ DEADPEER_RULES: rules })
    const options = await optionsOf(program)
    expect(options['tls.connect']).toMatchObject(profiles.lan)
    expect(options['TLS over a socket']).toMatchObject(profiles.lan)
    expect(options['a name']).toMatchObject(profiles.mobile)
    expect(options['net.connect']).toMatchObject(profiles.cloud)
    expect(options.accepted).toMatchObject(profiles.cloud)
    const untouched = await optionsOf(await bare())
    expect(options['http.get']).toEqual(untouched['http.get'])
    expect(options.fetch).toEqual(untouched.fetch)
    const prefix = await start({ DEADPEER_RULES: '10.0.0.0/8=patient,127.0.0.0/8=lan' })
    for (const [way, found] of Object.entries(await optionsOf(prefix)))
      expect(found, way).toMatchObject(profiles.lan)
  })

  it('tunes connections of a worker thread too', () => {
    const worker = fileURLToPath(new URL('fixtures/connecting-worker.mjs', import.meta.url))
    const program = `new (require('node:worker_threads').Worker)(${JSON.stringify(worker)})`
    const { stdout } = run({ DEADPEER_PROFILE: 'lan' }, program)
    expect(JSON.parse(stdout)).toMatchObject(profiles.lan)
  })
})

function bare(): Promise<Program> {
  return start({ DEADPEER: 'off' })
}

function run(env: Record<string, string>, program = 'console.log("it runs")') {
  return spawnSync(process.execPath, ['--import', 'deadpeer/register', '-e', program], {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: 'utf8',
  })
}

describe('the variables for deadpeer/register', () => {
  it.each<{ env: Record<string, string>; message: RegExp }>([
    { env: { DEADPEER: 'yes please' }, message: /DEADPEER must be .*; got 'yes please'/ },
    { env: { DEADPEER_PROFILE: 'cluod' }, message: /DEADPEER_PROFILE: Unknown preset 'cluod'/ },
    {
      env: { DEADPEER_PROFILE: '{"initialDelay": 1500}' },
      message: /DEADPEER_PROFILE: initialDelay .* whole seconds/,
    },
    {
      env: { DEADPEER_PATH: 'aws-nbl' },
      message: /DEADPEER_PATH: Unknown hop 'aws-nbl'\. Did you mean aws-nlb/,
    },
    { env: { DEADPEER_PROFILE: '{"initialDelay": }' }, message: /DEADPEER_PROFILE: .*JSON/ },
    { env: { DEADPEER_WATCH: 'repotr' }, message: /DEADPEER_WATCH must be .*report.*; got 'repotr'/ },
    { env: { DEADPEER_RULES: '5432' }, message: /DEADPEER_RULES: A rule must be .* got '5432'/ },
    {
      env: { DEADPEER_RULES: '5432=lan,99999=lan' },
      message: /DEADPEER_RULES: The port of a rule must be 1 to 65535; got '99999'/,
    },
    { env: { DEADPEER_RULES: '10.0.0.0\n/8=lan' }, message: /DEADPEER_RULES: / },
  ])('are refused in one line if one is wrong, and the program does not start: $env', ({ env, message }) => {
    const { status, stdout, stderr } = run(env)
    expect(status).toBe(1)
    expect(stdout).toBe('')
    expect(stderr).toMatch(/^deadpeer\/register: [^\n]*\n$/)
    expect(stderr).toMatch(message)
  })

  it('cause no output if they are valid', () => {
    expect(run({ DEADPEER_PROFILE: 'lan', DEADPEER_WATCH: '1' })).toMatchObject({
      status: 0,
      stdout: 'it runs\n',
      stderr: '',
    })
  })

  it('cause one warning without a native core, and the program runs', () => {
    const { status, stdout, stderr } = run({ DEADPEER_NATIVE: 'off' }, setsKeepAlive)
    expect({ status, stdout }).toEqual({ status: 0, stdout: '[true,30000]\n'.repeat(2) })
    expect(stderr.match(/Warning:/g)).toHaveLength(1)
  })
})

/** Prints how `setKeepAlive` is called, at both ends of its connection. */
const setsKeepAlive = `
  const net = require('node:net')
  net.Socket.prototype.setKeepAlive = (...values) => console.log(JSON.stringify(values.flatMap((each) =>
    typeof each === 'object' ? [each.enable, each.initialDelay] : each)))
  const server = net.createServer().listen(0, '127.0.0.1', () => {
    const socket = net.connect(server.address().port, '127.0.0.1')
    socket.once('connect', () => process.exit())
  })`

/** Dead after 2 s. */
const quick = { DEADPEER_PROFILE: '{"initialDelay":1000,"interval":1000,"count":1}' }

describe.skipIf(!hasNetAdmin)('DEADPEER_WATCH', () => {
  /** The peers of these are gone; `net.connect` is not read any more, so that Node does not notice. */
  const victims = ['net.connect', 'new Socket', 'tls.connect', 'TLS over a socket']

  async function vanish(program: Program) {
    program.child.send('net.connect')
    await until(() => program.messages.some(({ done }) => done))
    // More than Node takes before it stops reading, and less than the kernel has room for.
    const peer = peers.get(program.ports['net.connect']!)!
    await new Promise((resolve) => peer.write(Buffer.alloc(100 * 1024), resolve))
    await until(() => inspect(peer).info!.unacked === 0)
    for (const victim of victims) blackHole(peers.get(program.ports[victim]!)!)
  }

  it.concurrent('reports each death once to the program with the value 1, even on a socket that is not read', async () => {
    const program = await start({ ...quick, DEADPEER_WATCH: '1' })
    await vanish(program)
    await until(() => victims.every((name) => program.messages.some(({ error }) => error === name)))
    for (const victim of victims) {
      const told = program.messages.filter(({ error }) => error === victim)
      expect(told, victim).toEqual([{ error: victim, code: 'ETIMEDOUT', kind: expect.any(String) }])
    }
    expect(program.stderr()).toBe('')
    expect(program.child.exitCode).toBeNull()
  })

  it.concurrent('prints one line for each death with the value report, and leaves the connections open', async () => {
    const program = await start({ ...quick, DEADPEER_WATCH: 'report' })
    await vanish(program)
    await until(() => (program.stderr().match(/DEADPEER_DEATH/g) ?? []).length >= victims.length)
    const lines = program
      .stderr()
      .split('\n')
      .filter((line) => line.includes('DEADPEER_DEATH'))
    expect(lines).toHaveLength(victims.length)
    for (const line of lines)
      expect(line).toMatch(/127\.0\.0\.1:\d+: The peer is gone \(keepalive\): 1 probe/)
    program.child.send('how is it')
    await until(() => program.messages.filter(({ done }) => done).length === 2)
    expect(program.messages.filter(({ done }) => done).at(-1)).toMatchObject({ done: { destroyed: false } })
  })
})

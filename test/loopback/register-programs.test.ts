import { type ChildProcess, fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import tls from 'node:tls'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { inspect, profiles } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { certificate } from '../support/certificate.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { nextMessage } from '../support/next-message.js'
import { until } from '../support/until.js'

// deadpeer/register with programs that fork, that tune something themselves, and that serve.

const root = fileURLToPath(new URL('../..', import.meta.url))
const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))

const ending: (() => void)[] = []
afterAll(() => {
  for (const end of ending) end()
})

/** Runs a program to its end; returns what it printed. */
function outputOf(name: string, env: Record<string, string>, ...flags: string[]) {
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, fixture(name)], {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    timeout: 30_000,
  })
  expect(stderr).toBe('')
  return JSON.parse(stdout)
}

describe('connections of children', () => {
  it.each([
    {
      what: 'of a program that was started with --import',
      flags: ['--import', 'deadpeer/register'],
      env: {},
    },
    { what: 'where NODE_OPTIONS has it', flags: [], env: { NODE_OPTIONS: '--import deadpeer/register' } },
  ])('are tuned as well: $what', ({ flags, env }) => {
    const found = outputOf('has-children.mjs', { DEADPEER_PROFILE: 'datacenter', ...env }, ...flags)
    expect(Object.keys(found)).toEqual(['fork', 'cluster.fork'])
    for (const connections of Object.values(found)) {
      expect(connections).toMatchObject({ opened: profiles.datacenter, accepted: profiles.datacenter })
    }
  })
})

it("keep the options that a program sets itself, instead of the profile's", () => {
  const found = outputOf(
    'tunes-itself.mjs',
    { DEADPEER_PROFILE: 'datacenter' },
    '--import',
    'deadpeer/register',
  )
  const { untouched, 'one option': some, ...others } = found
  expect(untouched).toMatchObject(profiles.datacenter)
  expect(some).toMatchObject({ ...profiles.datacenter, count: 7 })
  expect(Object.keys(others)).toHaveLength(8)
  for (const [how, profile] of Object.entries(others)) expect(profile, how).toMatchObject(profiles.lan)
})

interface Program {
  readonly child: ChildProcess
  readonly messages: { accepted?: string; error?: string; code?: string; kind?: string }[]
  /** Our end of the connection to each of its servers. */
  readonly ends: Map<string, net.Socket>
  readonly stderr: () => string
}

/** A program that serves, with a connection to each of its servers. */
async function serving(env: Record<string, string>): Promise<Program> {
  const { key, cert } = certificate()
  const child = fork(fixture('unmodified-servers.mjs'), [JSON.stringify([`${key}`, `${cert}`])], {
    cwd: root,
    execArgv: ['--import', 'deadpeer/register'],
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  ending.push(() => child.kill('SIGKILL'))
  let stderr = ''
  child.stderr!.on('data', (data) => (stderr += data))
  const { ports }: { ports: Record<string, number> } = await nextMessage(child)
  const messages: Program['messages'] = []
  child.on('message', (message) => messages.push(message as never))
  const ends = new Map<string, net.Socket>()
  for (const [name, port] of Object.entries(ports)) {
    const raw = net.connect(port, '127.0.0.1').on('error', () => {})
    ending.push(() => raw.destroy())
    await once(raw, 'connect')
    ends.set(name, raw)
    await shakeHands(name, raw)
    await until(() => messages.some(({ accepted }) => accepted === name))
  }
  return { child, messages, ends, stderr: () => stderr }
}

/** Returns when nothing is on its way any more; what is not read is more than Node takes before it stops reading. */
async function shakeHands(name: string, raw: net.Socket): Promise<void> {
  const unread = Buffer.alloc(100 * 1024)
  if (name === 'TCP') raw.write(unread)
  else if (name === 'HTTP/2 without TLS') await connectHttp2(raw, 'http')
  else {
    const protocols = name === 'HTTP/2' ? { ALPNProtocols: ['h2'] } : {}
    const secure = tls.connect({ socket: raw, rejectUnauthorized: false, ...protocols })
    secure.on('error', () => {})
    await once(secure, 'secureConnect')
    if (name === 'TLS') secure.write(unread)
    if (name === 'HTTP/2') await connectHttp2(secure, 'https')
  }
  await until(() => inspect(raw).info!.unacked === 0 && inspect(raw).info!.notsentBytes === 0)
}

async function connectHttp2(socket: net.Socket, protocol: string): Promise<void> {
  const session = http2.connect(`${protocol}://localhost`, { createConnection: () => socket })
  session.on('error', () => {})
  // The server has said all it has to say: data in flight would have clocks of its own.
  await Promise.all([once(session, 'remoteSettings'), once(session, 'localSettings')])
}

/** Dead after 2 s. */
const quick = { DEADPEER_PROFILE: '{"initialDelay":1000,"interval":1000,"count":1}' }

describe.skipIf(!hasNetAdmin)('accepted connections under DEADPEER_WATCH', () => {
  it.concurrent('are reported to their program once with the value 1', async () => {
    const { ends, messages, stderr, child } = await serving({ ...quick, DEADPEER_WATCH: '1' })
    for (const raw of ends.values()) blackHole(raw)
    const told = () => messages.filter(({ error }) => error !== undefined)
    await until(() => [...ends.keys()].every((name) => told().some(({ error }) => error === name)))
    for (const name of ends.keys()) {
      const errors = told().filter(({ error }) => error === name)
      expect(errors, name).toEqual([{ error: name, code: 'ETIMEDOUT', kind: expect.any(String) }])
    }
    // Of these Node does not hear by itself.
    for (const name of ['TCP', 'TLS']) {
      expect(told().find(({ error }) => error === name)!.kind, name).toBe('PeerDeathError')
    }
    expect(stderr()).toBe('')
    expect(child.exitCode).toBeNull()
  })

  it.concurrent('are reported in one line each, with the address of the peer, with the value report', async () => {
    const { ends, messages, stderr } = await serving({ ...quick, DEADPEER_WATCH: 'report' })
    for (const raw of ends.values()) blackHole(raw)
    const lines = () =>
      stderr()
        .split('\n')
        .filter((line) => line.includes('DEADPEER_DEATH'))
    await until(() => lines().length >= ends.size)
    const addresses = lines().map((line) => /127\.0\.0\.1:\d+(?=: The peer is gone \(keepalive\))/.exec(line))
    const wanted = [...ends.values()].map(({ localPort }) => `127.0.0.1:${localPort}`)
    expect(addresses.map((found) => found?.[0]).sort()).toEqual(wanted.sort())
    // What Node does not hear of is left to the program.
    for (const name of ['TCP', 'TLS']) expect(messages.filter(({ error }) => error === name)).toEqual([])
  })
})

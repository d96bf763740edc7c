import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { inspect, type Profile, profiles } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { certificate } from '../support/certificate.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { nextMessage } from '../support/next-message.js'
import { until } from '../support/until.js'

// deadpeer/register with programs that accept connections in one process and serve them in another.

const root = fileURLToPath(new URL('../..', import.meta.url))
const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))
/** As `deadpeer run` does it. */
const flags = ['--require', fileURLToPath(new URL('../../dist/register.js', import.meta.url))]

const ending: (() => void)[] = []
afterAll(() => {
  for (const end of ending) end()
})

interface Told {
  readonly kept?: string
  readonly profile?: Profile
  readonly error?: string
  readonly code?: string
  readonly kind?: string
  readonly isCollected?: boolean
}

interface Program {
  readonly child: ChildProcess
  readonly told: Told[]
  /** Our end of one connection in each way. */
  readonly ends: Map<string, net.Socket>
}

async function start(env: Record<string, string>): Promise<Program> {
  const { key, cert } = certificate()
  const child = fork(
    fixture('sends-connections.mjs'),
    ['accepts', JSON.stringify({ key: `${key}`, cert: `${cert}` })],
    { cwd: root, execArgv: flags, env: { ...process.env, ...env } },
  )
  ending.push(() => child.connected && child.disconnect())
  const { ports }: { ports: Record<string, number> } = await nextMessage(child)
  const told: Told[] = []
  child.on('message', (message) => told.push(message as Told))
  const ends = new Map<string, net.Socket>()
  for (const [name, port] of Object.entries(ports)) {
    const raw = net.connect(port, '127.0.0.1').on('error', () => {})
    ending.push(() => raw.destroy())
    ends.set(name, raw)
    await once(raw, 'connect')
    // More than Node takes before it stops reading.
    const unread = Buffer.alloc(100 * 1024)
    if (name === 'sent, then TLS') {
      const secure = tls.connect({ socket: raw, rejectUnauthorized: false }).on('error', () => {})
      await once(secure, 'secureConnect')
      secure.write(unread)
    } else raw.write(unread)
    await until(() => told.some(({ kept }) => kept === name))
    await until(() => inspect(raw).info!.unacked === 0 && inspect(raw).info!.notsentBytes === 0)
  }
  return { child, told, ends }
}

describe('a connection that one process accepts and sends to another', () => {
  it('is tuned, whichever of the two processes has deadpeer/register', async () => {
    const { told, ends } = await start({ DEADPEER_PROFILE: 'datacenter' })
    expect([...ends.keys()]).toEqual([
      'sent at once',
      'sent once it has spoken',
      'sent, then TLS',
      'sent to a process without it',
      'sent by a child',
    ])
    for (const name of ends.keys()) {
      const { profile } = told.find(({ kept }) => kept === name)!
      expect(profile, name).toMatchObject(profiles.datacenter)
    }
  })

  it.skipIf(!hasNetAdmin)('is watched in the process that received it', async () => {
    const { told, ends } = await start({
      DEADPEER_PROFILE: '{"initialDelay":1000,"interval":1000,"count":1}',
      DEADPEER_WATCH: '1',
    })
    for (const raw of ends.values()) blackHole(raw)
    const watched = [...ends.keys()].filter((name) => name !== 'sent to a process without it')
    await until(() => watched.every((name) => told.some(({ error }) => error === name)))
    for (const name of watched) {
      const errors = told.filter(({ error }) => error === name)
      expect(errors, name).toEqual([{ error: name, code: 'ETIMEDOUT', kind: expect.any(String) }])
      // Node reads this one, and hears of its death by itself.
      if (name !== 'sent once it has spoken') expect(errors[0]!.kind, name).toBe('PeerDeathError')
    }
    expect(told.filter(({ error }) => error === 'sent to a process without it')).toEqual([])
  })

  it('is not kept in memory by the process that sent it', async () => {
    const { child, told } = await start({ DEADPEER_WATCH: '1' })
    await until(() => {
      child.send('collect garbage')
      return told.some(({ isCollected }) => isCollected)
    })
  })
})

describe('the channel to the parent process', () => {
  const child = (...words: string[]) => {
    const forked = fork(fixture('says-when-told.mjs'), words, { execArgv: flags })
    ending.push(() => forked.kill('SIGKILL'))
    return forked
  }

  it('does not keep a program running that never listens for messages', async () => {
    expect(await once(child(), 'exit')).toEqual([0, null])
  })

  it('keeps messages until the program listens for them', async () => {
    const late = child('late')
    late.send('early')
    expect((await once(late, 'message'))[0]).toBe('early')
  })
})

describe('the primary of a cluster', () => {
  const found = (...words: string[]) =>
    JSON.parse(
      execFileSync(process.execPath, [...flags, fixture('cluster-of-unprotected-workers.mjs'), ...words], {
        encoding: 'utf8',
        env: { ...process.env, DEADPEER_PROFILE: 'lan', NODE_CLUSTER_SCHED_POLICY: 'rr' },
      }),
    )

  it('tunes its listener, so that connections of a worker without deadpeer/register have the profile', () => {
    expect(found().profile).toMatchObject(profiles.lan)
  })

  it('adds no listener to the server of a worker that tunes it', () => {
    // Only the program's own listener.
    expect(found('tunes').listeners).toBe(1)
  })
})

describe('a listener under DEADPEER_RULES', () => {
  /** What a listener passes on to a process without deadpeer/register. */
  const sentWith = async (rules: string) => {
    const { told, child } = await start({ DEADPEER_PROFILE: 'lan', DEADPEER_RULES: rules })
    child.disconnect()
    return told.find(({ kept }) => kept === 'sent to a process without it')!.profile
  }

  it('is tuned if no rule can match its connections', async () => {
    expect(await sentWith('10.0.0.0/8:1=off')).toMatchObject(profiles.lan)
  })

  it('is not tuned if a rule depends on the address of its connections', async () => {
    expect(await sentWith('10.0.0.0/8=off')).toMatchObject({ enable: false })
  })
})

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { inspect, type Profile, profiles, tune, watch } from '../../src/index.js'
import { YoungConnections } from '../../src/register/young-connections.js'
import { blackHole } from '../../src/testing/index.js'
import { connectPair } from '../support/connections.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { until } from '../support/until.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))

describe('a server under deadpeer/register', () => {
  const accept = (options: object, profile: object, count: number): Profile[] => {
    const { stdout } = spawnSync(
      process.execPath,
      [
        ...['--import', 'deadpeer/register', fixture('accepted-options.mjs')],
        ...[JSON.stringify(options), JSON.stringify(profile), String(count)],
      ],
      { cwd: root, env: { ...process.env, DEADPEER_PROFILE: 'lan' }, encoding: 'utf8' },
    )
    return JSON.parse(stdout)
  }

  it.each([{ options: {} }, { options: { keepAlive: true, keepAliveInitialDelay: 9_000 } }])(
    'gives each connection that it accepts the profile: $options',
    ({ options }) => {
      const found = accept(options, {}, 6)
      expect(found).toHaveLength(6)
      for (const profile of found) expect(profile).toMatchObject(profiles.lan)
    },
  )

  it('gives its connections the options of a later tune', () => {
    const found = accept({}, { count: 7 }, 12)
    for (const profile of found.slice(0, 6)) expect(profile).toMatchObject(profiles.lan)
    for (const profile of found.slice(6)) expect(profile).toMatchObject({ ...profiles.lan, count: 7 })
  })

  const strace = spawnSync('strace', ['-V']).status === 0

  it.skipIf(!strace)('sets the options of a connection once, at the end that opens it', () => {
    const calls = (connections: number) => {
      const { stderr, status } = spawnSync(
        'strace',
        [
          ...['-f', '-qq', '-e', 'trace=setsockopt', process.execPath, '--import', 'deadpeer/register'],
          ...[fixture('accept.mjs'), 'untuned', String(connections)],
        ],
        { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 },
      )
      expect(status).toBe(0)
      return stderr.split('\n').filter((line) => /setsockopt\(/.test(line)).length
    }
    const optionsOfPreset = Object.keys(profiles.cloud).length
    expect(calls(60) - calls(10)).toBe(50 * optionsOfPreset)
  })
})

describe('young connections', () => {
  it('are watched when they are 100 ms old, unless they were closed or sent to another process before', async () => {
    const pairs = await Promise.all([connectPair(), connectPair(), connectPair()])
    const [kept, closed, passedOn] = pairs.map(({ socket }) => socket)
    const watched: unknown[] = []
    const young = new YoungConnections((socket) => watched.push(socket))
    for (const socket of [kept, closed, passedOn]) young.add(socket!)
    closed!.destroy()
    young.delete(passedOn!)
    await until(() => watched.length > 0)
    expect(watched).toEqual([kept])
    for (const { socket, peer } of pairs) {
      socket.destroy()
      peer.destroy()
    }
  })

  it.skipIf(!hasNetAdmin)(
    'are reported as dead if the kernel ends them before they are watched',
    async () => {
      const { socket, peer } = await connectPair()
      // More than Node takes before it stops reading, so that it does not see the error.
      socket.pause()
      peer.on('error', () => {})
      await new Promise((resolve) => peer.write(Buffer.alloc(100 * 1024), resolve))
      await until(() => inspect(peer).info!.unacked === 0)
      tune(socket, { initialDelay: 1_000, interval: 1_000, count: 1 })
      blackHole(peer)
      await until(() => inspect(socket).verdict === 'dead')
      const watcher = watch()
      const death = new Promise((resolve) => watcher.on('dead', resolve))
      const error = new Promise((resolve) => socket.on('error', resolve))
      watcher.add(socket)
      expect(await death).toMatchObject({ socket, reason: 'keepalive', detectedBy: 'kernel' })
      expect(await error).toMatchObject({ code: 'ETIMEDOUT' })
      watcher.close()
      peer.destroy()
    },
  )
})

import diagnostics from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import type net from 'node:net'
import { describe, expect, it } from 'vitest'
import { socketOf, unwrap } from '../../../src/connection/target.js'
import {
  inspect,
  type Profile,
  probe,
  probeAll,
  sampleTcpInfo,
  type Target,
  tune,
  tuneAll,
  type WatchTarget,
  watch,
} from '../../../src/index.js'
import { connectPair } from '../../support/connections.js'
import { mistakeRows, wrongCallRows } from '../../support/target-mistakes.js'
import { closedRows, connectingRows, connectionRows, serverRows } from '../../support/target-rows.js'
import { closedAfterwards } from '../../support/target-setup.js'
import { until } from '../../support/until.js'

const profile: Profile = { enable: true, initialDelay: 7_000, interval: 3_000, count: 4, userTimeout: 17_000 }
const noTarget = { code: 'ERR_INVALID_ARG_TYPE', field: 'target' }
const closed = { code: 'ERR_SOCKET_CLOSED', message: expect.stringMatching(/closed/) }
const notConnected = {
  code: 'ERR_SOCKET_CLOSED',
  message: expect.stringMatching(/not connected yet; wait for/),
}

function watching() {
  const watcher = closedAfterwards(watch(), (it) => it.close())
  const errors: Error[] = []
  watcher.on('error', (error) => errors.push(error))
  return { watcher, errors }
}

const acceptedSockets = new Set<net.Socket>()
diagnostics.subscribe('net.server.socket', (message) => {
  acceptedSockets.add((message as { socket: net.Socket }).socket)
})

/** The accepted end of the connection from a port. */
async function acceptedFrom(port: number): Promise<net.Socket> {
  const find = () => [...acceptedSockets].find(({ remotePort }) => remotePort === port)
  await until(() => find() !== undefined)
  await turn()
  return find()!
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('the tables of docs/targets.md are the rows of these tests', () => {
  const text = readFileSync(new URL('../../../docs/targets.md', import.meta.url), 'utf8')
  it.each([
    { heading: 'One connection', rows: connectionRows },
    { heading: 'Not connected yet', rows: connectingRows },
    { heading: 'Closed', rows: closedRows },
    { heading: 'Servers', rows: serverRows },
    { heading: 'What cannot be taken', rows: mistakeRows },
    { heading: 'Calls in the wrong form', rows: wrongCallRows },
  ])('$heading', ({ heading, rows }) => {
    const [, section = ''] =
      new RegExp(`^## ${heading}\n([\\s\\S]*?)(?=^## |(?![\\s\\S]))`, 'm').exec(text) ?? []
    const [, , ...cells] = [...section.matchAll(/^\| +(.*?) +\|/gm)].map(([, cell]) => cell)
    expect(cells).toEqual(rows.map(({ what }) => what))
  })
})

describe('a connection', () => {
  it.each(connectionRows)('$what: is tuned, read, sampled and probed', async ({ make }) => {
    const [target] = [await make()].flat() as [Target]
    tune(target, profile)
    expect(inspect(target).profile).toMatchObject(profile)
    expect(Array.from(sampleTcpInfo([target], ['state']))).toEqual([1])
    expect(await probe(target)).toMatchObject({ alive: true })
    expect(await tuneAll([target], { count: 5 })).toEqual([{}])
    expect(inspect(target).profile).toMatchObject({ ...profile, count: 5 })
  })

  it.each(connectionRows.filter(({ isUnwatchable }) => !isUnwatchable))(
    '$what: is watched',
    async ({ make }) => {
      const [target] = [await make()].flat() as [WatchTarget]
      const { watcher } = watching()
      watcher.add(target)
      expect([watcher.size, watcher.has(target)]).toEqual([1, true])
      const socket = unwrap(socketOf(target as never))
      expect(watcher.has(socket)).toBe(true)
      expect(watcher.delete(target)).toBe(true)
      expect([watcher.size, watcher.has(target), watcher.has(socket)]).toEqual([0, false, false])
    },
  )

  it.each(connectionRows.filter(({ isUnwatchable }) => isUnwatchable))(
    '$what: watch refuses it',
    async ({ make }) => {
      const target = (await make()) as never
      expect(() => watching().watcher.add(target)).toThrow(expect.objectContaining(noTarget))
    },
  )
})

describe('what is not connected yet', () => {
  it.each(connectingRows)('$what: tune applies once it is connected', async ({ make }) => {
    const { target, connected } = await make()
    tune(target as Target, profile)
    await connected()
    expect(inspect(target as Target).profile).toMatchObject(profile)
  })

  it.each(connectingRows)('$what: is watched once it is connected', async ({ make }) => {
    const { target, connected } = await make()
    const { watcher, errors } = watching()
    watcher.add(target as WatchTarget)
    expect(watcher.has(target as WatchTarget)).toBe(true)
    await connected()
    expect([watcher.size, watcher.has(target as WatchTarget), errors]).toEqual([1, true, []])
  })

  it.each(connectingRows)('$what: is not watched after delete', async ({ make }) => {
    const { target, connected } = await make()
    const { watcher } = watching()
    watcher.add(target as WatchTarget)
    expect(watcher.delete(target as WatchTarget)).toBe(true)
    await connected()
    expect([watcher.size, watcher.has(target as WatchTarget)]).toEqual([0, false])
  })

  it.each(connectingRows)('$what: inspect throws, probe waits, and a list does not', async ({ make }) => {
    const { socket } = await connectPair()
    const { target, connected } = await make()
    expect(() => inspect(target as Target)).toThrow(expect.objectContaining(notConnected))
    expect(Array.from(sampleTcpInfo([target as Target], ['state']))).toEqual([Number.NaN])
    const probing = probe(target as Target)
    const [one, other] = await probeAll([target as Target, socket])
    expect(one).toMatchObject({ alive: undefined, evidence: 'error', error: { code: 'ERR_SOCKET_CLOSED' } })
    expect(other).toMatchObject({ alive: true })
    await connected()
    expect(await probing).toMatchObject({ alive: true })
  })
})

describe('what is closed', () => {
  it.each(closedRows)('$what', async ({ make }) => {
    const target = (await make()) as Target & WatchTarget
    const { socket } = await connectPair()
    const { watcher, errors } = watching()
    for (const call of [() => tune(target, profile), () => inspect(target), () => watcher.add(target)]) {
      expect(call).toThrow(expect.objectContaining(closed))
    }
    expect(await probe(target)).toMatchObject({ alive: false, evidence: 'closed' })
    expect(await probeAll([target, socket])).toMatchObject([{ evidence: 'closed' }, { alive: true }])
    expect(await tuneAll([target, socket], profile)).toEqual([{ error: expect.objectContaining(closed) }, {}])
    expect(Array.from(sampleTcpInfo([target, socket], ['state']))).toEqual([Number.NaN, 1])
    watcher.add([target, socket])
    await turn()
    expect([watcher.stats(), errors]).toEqual([{ added: 2, watching: 1, dead: 0, closed: 1, removed: 0 }, []])
  })
})

describe('a server', () => {
  it.each(serverRows)('$what: what it accepts is tuned and watched', async ({ make }) => {
    const { target, listen } = await make()
    const { watcher, errors } = watching()
    tune(target, profile)
    watcher.add(target)
    expect(watcher.has(target)).toBe(true)
    const open = await listen()
    const client = await open()
    const { localPort } = socketOf(client as never)
    const accepted = await acceptedFrom(localPort!)
    expect(watcher.has(accepted)).toBe(true)
    expect(inspect(accepted).profile).toMatchObject(profile)
    expect(errors).toEqual([])
    expect(watcher.delete(target)).toBe(true)
    expect(watcher.has(target)).toBe(false)
  })

  it.each(serverRows)('$what: inspect and probe refuse it', async ({ make }) => {
    const { target } = await make()
    const refusal = expect.objectContaining({
      ...noTarget,
      message: expect.stringMatching(/server has no peer/),
    })
    expect(() => inspect(target as never)).toThrow(refusal)
    await expect(probe(target as never)).rejects.toEqual(refusal)
  })
})

describe('what cannot be taken', () => {
  it.each(mistakeRows)('$what', async ({ make, message }) => {
    const [target] = (await make()) as [Target & WatchTarget]
    const { socket } = await connectPair()
    const { watcher, errors } = watching()
    const refusal = expect.objectContaining({ ...noTarget, message: expect.stringMatching(message) })
    expect(() => tune(target, profile)).toThrow(refusal)
    expect(() => inspect(target)).toThrow(refusal)
    await expect(probe(target)).rejects.toEqual(refusal)
    // An array is what add takes for a list.
    if (!Array.isArray(target)) expect(() => watcher.add(target)).toThrow(refusal)
    watcher.add([target, socket])
    await turn()
    expect([watcher.size, errors]).toEqual([1, [refusal]])
    expect(await tuneAll([target, socket], profile)).toEqual([{ error: refusal }, {}])
    expect(await probeAll([target, socket])).toMatchObject([
      { evidence: 'error', error: refusal },
      { alive: true },
    ])
    expect(Array.from(sampleTcpInfo([target, socket], ['state']))).toEqual([Number.NaN, 1])
  })

  it.each(wrongCallRows)('$what', async ({ call, message }) => {
    const { socket } = await connectPair()
    const refusal = { code: 'ERR_INVALID_ARG_TYPE', message: expect.stringMatching(message) }
    await expect((async () => call(socket))()).rejects.toMatchObject(refusal)
  })
})

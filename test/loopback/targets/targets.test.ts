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

describe('the tables in docs/targets.md', () => {
  const text = readFileSync(new URL('../../../docs/targets.md', import.meta.url), 'utf8')
  it.each([
    { heading: 'One connection', rows: connectionRows },
    { heading: 'Not connected yet', rows: connectingRows },
    { heading: 'Closed', rows: closedRows },
    { heading: 'Servers', rows: serverRows },
    { heading: 'What you cannot pass', rows: mistakeRows },
    { heading: 'Calls in the wrong form', rows: wrongCallRows },
  ])('have the rows of these tests: $heading', ({ heading, rows }) => {
    const [, section = ''] =
      new RegExp(`^## ${heading}\n([\\s\\S]*?)(?=^## |(?![\\s\\S]))`, 'm').exec(text) ?? []
    const [, , ...cells] = [...section.matchAll(/^\| +(.*?) +\|/gm)].map(([, cell]) => cell)
    expect(cells).toEqual(rows.map(({ what }) => what))
  })
})

describe('the error of inspect for a target that is not connected yet', () => {
  const text = readFileSync(new URL('../../../docs/targets.md', import.meta.url), 'utf8')
  it.each(connectingRows)('names the event that docs/targets.md lists: $what', async ({ what, make }) => {
    const line = text.split('\n').find((each) => each.startsWith(`| ${what} |`))!
    const [, event] = /\| ('\w+'|`'\w+'`)[^|]*\|$/.exec(line)!
    const { target } = await make()
    expect(() => inspect(target as Target)).toThrow(
      expect.objectContaining({ message: expect.stringContaining(`${event!.replaceAll('`', '')} event`) }),
    )
  })
})

describe('every kind of connection', () => {
  it.each(connectionRows)('is tuned, read, sampled and probed: $what', async ({ make }) => {
    const [target] = [await make()].flat() as [Target]
    tune(target, profile)
    expect(inspect(target).profile).toMatchObject(profile)
    expect(Array.from(sampleTcpInfo([target], ['state']))).toEqual([1])
    expect(await probe(target)).toMatchObject({ alive: true })
    expect(await tuneAll([target], { count: 5 })).toEqual([{}])
    expect(inspect(target).profile).toMatchObject({ ...profile, count: 5 })
  })

  it.each(connectionRows.filter(({ isUnwatchable }) => !isUnwatchable))(
    'is watched: $what',
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
    'is refused by watch: $what',
    async ({ make }) => {
      const target = (await make()) as never
      expect(() => watching().watcher.add(target)).toThrow(expect.objectContaining(noTarget))
    },
  )
})

describe('every target that is not connected yet', () => {
  it.each(connectingRows)('is tuned once it is connected: $what', async ({ make }) => {
    const { target, connected } = await make()
    tune(target as Target, profile)
    await connected()
    expect(inspect(target as Target).profile).toMatchObject(profile)
  })

  it.each(connectingRows)('is watched once it is connected: $what', async ({ make }) => {
    const { target, connected } = await make()
    const { watcher, errors } = watching()
    watcher.add(target as WatchTarget)
    expect(watcher.has(target as WatchTarget)).toBe(true)
    await connected()
    expect([watcher.size, watcher.has(target as WatchTarget), errors]).toEqual([1, true, []])
  })

  it.each(connectingRows)('is not watched after delete: $what', async ({ make }) => {
    const { target, connected } = await make()
    const { watcher } = watching()
    watcher.add(target as WatchTarget)
    expect(watcher.delete(target as WatchTarget)).toBe(true)
    await connected()
    expect([watcher.size, watcher.has(target as WatchTarget)]).toEqual([0, false])
  })

  it.each(connectingRows)(
    'makes inspect throw, probe wait, and a list do neither: $what',
    async ({ make }) => {
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
    },
  )
})

describe('a closed target', () => {
  it.each(closedRows)('is reported as closed by each verb: $what', async ({ make }) => {
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

describe('every kind of server', () => {
  it.each(serverRows)('has its accepted connections tuned and watched: $what', async ({ make }) => {
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

  it.each(serverRows)('is refused by inspect and probe: $what', async ({ make }) => {
    const { target } = await make()
    const refusal = expect.objectContaining({
      ...noTarget,
      message: expect.stringMatching(/server has no peer/),
    })
    expect(() => inspect(target as never)).toThrow(refusal)
    await expect(probe(target as never)).rejects.toEqual(refusal)
  })
})

describe('a value that is no target', () => {
  it.each(mistakeRows)('is refused with an error that says what to do: $what', async ({ make, message }) => {
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

  it.each(wrongCallRows)('is refused in a wrong call: $what', async ({ call, message }) => {
    const { socket } = await connectPair()
    const refusal = { code: 'ERR_INVALID_ARG_TYPE', message: expect.stringMatching(message) }
    await expect((async () => call(socket))()).rejects.toMatchObject(refusal)
  })
})

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { examineCounters, examineStuck, mayBeStuck } from '../../src/cli/commands/doctor/connections.js'
import {
  deafConnections,
  examineDeafPaths,
  hasUnansweredProbes,
} from '../../src/cli/commands/doctor/deaf-path.js'
import { remediesFor } from '../../src/cli/commands/doctor/remedies.js'
import type { Connection } from '../../src/cli/lib/selection.js'
import type { SocketRecord } from '../../src/host/index.js'
import { type Profile, profiles, TcpState } from '../../src/index.js'
import { hops } from '../../src/path/index.js'
import { deaf } from '../../src/testing/index.js'
import { deadpeer, runPasted } from '../support/deadpeer-command.js'
import { hasProbeFilter } from '../support/probe-filter.js'
import { until } from '../support/until.js'

// Findings that need two samples of the kernel's counters: connections that the peer has closed and the program has not, and peers that read
// nothing. Each finding ends with a command. The tests run that command, and doctor must then find nothing.

let holder: ChildProcess
let serverPort: number
const peers: net.Socket[] = []

// biome-ignore lint/suspicious/noExplicitAny: what fixtures/holder.mjs answers
async function ask(...message: unknown[]): Promise<any> {
  holder.send(message)
  return (await once(holder, 'message'))[0].value
}

beforeAll(async () => {
  const script = fileURLToPath(new URL('fixtures/holder.mjs', import.meta.url))
  holder = fork(script, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  serverPort = await ask('listen')
})
afterEach(async () => {
  for (const peer of peers.splice(0)) {
    const port = peer.localPort!
    peer.destroy()
    await ask('close', port)
  }
})
afterAll(() => holder.kill())

/** A connection that the program has accepted. Its profile causes no finding, so that only those under test remain. */
async function connect(profile: Profile): Promise<{ peer: net.Socket; port: number }> {
  const peer = net.connect({ port: serverPort, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {})
  peers.push(peer)
  await once(peer, 'connect')
  const port = peer.localPort!
  await until(() => ask('has', port))
  await ask('tune', port, profile)
  return { peer, port }
}

interface Found {
  readonly code: string
  readonly severity: string
  readonly fault: string
  readonly message: string
  readonly command: string
  readonly connections: number
}

async function doctor(...args: string[]): Promise<{ code: number | null; findings: Found[] }> {
  const run = await deadpeer(['doctor', '--pid', String(holder.pid), '--json', ...args])
  expect(run.err).toEqual([])
  return { code: run.code, findings: JSON.parse(run.out.join('\n')).findings }
}

/** A keepalive probe every second. Each acknowledgement resets the time since the peer was last heard. */
const probed = { initialDelay: 1_000, interval: 1_000, count: 9, userTimeout: 10_000 }

describe('a connection that the peer has closed and the program has not', () => {
  it('is found although the peer acknowledges keepalive probes, with the minimum time since the close', async () => {
    const { peer, port } = await connect(probed)
    peer.end()
    await until(async () => (await ask('state', port)) === TcpState.CLOSE_WAIT)
    const began = performance.now()
    const { code, findings } = await doctor('--over', '2s')
    expect(performance.now() - began).toBeGreaterThan(2_000)
    expect(code).toBe(1)
    expect(findings).toEqual([
      expect.objectContaining({
        code: 'closed-by-peer',
        severity: 'warning',
        fault: 'program',
        connections: 1,
      }),
    ])
    const [, seconds] =
      /^The peer closed its side at least (\d\.\d|\d)s ago, and your program has not: a descriptor leaks\.$/.exec(
        findings[0]!.message,
      )!
    expect(Number(seconds)).toBeGreaterThanOrEqual(2)
  })

  it('is the only connection that the suggested command lists', async () => {
    const { peer, port } = await connect(probed)
    await connect(profiles.cloud)
    peer.end()
    await until(async () => (await ask('state', port)) === TcpState.CLOSE_WAIT)
    const [finding] = (await doctor('--over', '100ms')).findings
    expect(finding!.command).toBe(`deadpeer ls --pid ${holder.pid} --port ${port} --state close-wait`)
    const { status, output } = runPasted(finding!.command)
    expect(status).toBe(0)
    const [, ...lines] = output.trim().split('\n')
    expect(lines).toEqual([expect.stringMatching(new RegExp(`^CLOSE-WAIT .*:${port} `))])
    await ask('close', port)
    expect(await doctor()).toEqual({ code: 0, findings: [] })
  })

  it('is not reported while the program still sends', async () => {
    const { peer, port } = await connect(probed)
    peer.resume().end()
    await until(async () => (await ask('state', port)) === TcpState.CLOSE_WAIT)
    await ask('keepWriting', port)
    const run = await deadpeer(['doctor', '--pid', String(holder.pid), '--over', '500ms'])
    expect(run).toMatchObject({ code: 0, out: ['1 connection examined', 'nothing is wrong'] })
  })
})

describe('a live peer that does not read', () => {
  it('is reported with the number of queued bytes, and the suggested command sets a userTimeout', async () => {
    const { peer, port } = await connect(profiles.patient)
    peer.pause()
    await ask('write', port, 20e6)
    await until(async () =>
      (await deadpeer(['ls', '--pid', String(holder.pid)])).out[1]!.includes('window-probe'),
    )
    const { code, findings } = await doctor()
    const found = findings.find((each) => each.code === 'peer-not-reading')!
    expect(code).toBe(1)
    expect(found).toMatchObject({ severity: 'warning', fault: 'peer', connections: 1 })
    expect(found.message).toMatch(
      /^The peer is alive but not reading: [\d.]+ [kM]B queued behind its closed window for at least 2(\.\d)?s\.$/,
    )
    expect(found.command).toBe(`deadpeer tune --pid ${holder.pid} --profile cloud`)
    expect(runPasted(found.command)).toMatchObject({ status: 0 })
    expect(await ask('profile', port)).toMatchObject(profiles.cloud)
    expect(await doctor()).toMatchObject({
      code: 0,
      findings: [
        {
          code: 'peer-not-reading',
          severity: 'note',
          change: 'userTimeout ends the connection if the peer reads nothing for 60 s.',
        },
      ],
    })
  })

  it('is not reported if it reads between the two samples', async () => {
    const { peer, port } = await connect(profiles.patient)
    peer.pause()
    await ask('write', port, 20e6)
    await until(async () =>
      (await deadpeer(['ls', '--pid', String(holder.pid)])).out[1]!.includes('window-probe'),
    )
    const reading = setInterval(() => peer.read(), 20)
    const { findings } = await doctor('--over', '500ms')
    clearInterval(reading)
    expect(findings.filter(({ code }) => code === 'peer-not-reading')).toEqual([])
  })
})

describe.runIf(hasProbeFilter)('a path that passes data and no probes', () => {
  it('is reported with the command that turns keepalive off, and does not suggest to end the connection', async () => {
    const { peer, port } = await connect({ ...probed, count: 100, userTimeout: 0 })
    peer.write('hello')
    using _deaf = deaf(peer)
    const listed = async () => (await deadpeer(['ls', '--pid', String(holder.pid), '--json'])).out.join('')
    await until(async () => /"probes": ?[2-9]/.test(await listed()))
    const writing = setInterval(() => peer.write('more'), 500)
    const { code, findings } = await doctor('--over', '3s')
    clearInterval(writing)
    expect(code).toBe(1)
    const found = findings.find((each) => each.code === 'deaf-path')!
    expect(found).toMatchObject({ fault: 'path', connections: 1 })
    expect(findings.map((each) => each.code)).not.toContain('unanswered')
    expect(found.command).toBe(`deadpeer tune --pid ${holder.pid} --off --user-timeout 120s`)
    expect(runPasted(found.command)).toMatchObject({ status: 0 })
    expect(await ask('profile', port)).toMatchObject({ enable: false, userTimeout: 120_000 })
  })
})

describe('two samples of a connection', () => {
  const record = (fields: Partial<SocketRecord>, info: Record<string, number> = {}) =>
    ({
      cookie: 7n,
      state: 'established',
      timer: 'off',
      sendQueue: 0,
      local: { address: '10.0.0.1', port: 80 },
      remote: { address: '10.0.0.2', port: 4_000 },
      ...fields,
      readInfo: (field: string) => info[field],
    }) as unknown as SocketRecord
  const connection = (seen: SocketRecord) =>
    ({
      record: seen,
      owners: [{ pid: 7, command: 'app', fd: 3 }],
      verdict: 'closing',
    }) as unknown as Connection
  const found = (before: SocketRecord, after: SocketRecord | undefined, profile?: Profile) => {
    const one = connection(before)
    const later = new Map(after ? [[after.cookie, after]] : [])
    const options = new Map(profile ? [[one, profile]] : [])
    return examineStuck({ connections: [one], later, elapsed: 2_000 }, options, remediesFor([one], {}, []))
  }
  const probing = { timer: 'keepalive', retries: 2 } as const
  const deaf = (first: SocketRecord, second: SocketRecord | undefined) => {
    const one = connection(first)
    const later = new Map(second ? [[second.cookie, second]] : [])
    const samples = { connections: [one], later, elapsed: 2_000 }
    return examineDeafPaths(deafConnections(samples), remediesFor([one], {}, []))
  }

  it('show a path that may pass data and no probes: probes unanswered, then data', () => {
    expect(deaf(record(probing), record({}, { lastDataRecv: 1_999 }))).toEqual([
      expect.objectContaining({
        code: 'deaf-path',
        severity: 'warning',
        fault: 'path',
        command: 'deadpeer tune --pid 7 --off --user-timeout 120s',
      }),
    ])
  })

  it('show a path that passes data and no probes: probes unanswered before and after data', () => {
    expect(deaf(record(probing), record(probing, { lastDataRecv: 1_999 }))).toEqual([
      expect.objectContaining({ code: 'deaf-path', severity: 'error' }),
    ])
  })

  it.each([
    { what: 'one probe, which may be on its way', first: { ...probing, retries: 1 }, lastDataRecv: 0 },
    { what: 'no data since', first: probing, lastDataRecv: 2_000 },
    { what: 'retransmissions', first: { timer: 'retransmit', retries: 3 } as const, lastDataRecv: 0 },
    { what: 'a closed window', first: { timer: 'window-probe', retries: 3 } as const, lastDataRecv: 0 },
  ])('show no deaf path: $what', ({ first, lastDataRecv }) => {
    expect(deaf(record(first), record(probing, { lastDataRecv }))).toEqual([])
    expect(deaf(record(first), undefined)).toEqual([])
  })

  it('are taken if probes are unanswered', () => {
    expect(hasUnansweredProbes(connection(record(probing)))).toBe(true)
    expect(hasUnansweredProbes(connection(record({ ...probing, retries: 1 })))).toBe(false)
  })

  it('never suggest to end connections on a path that is known not to acknowledge probes', () => {
    const one = { ...connection(record(probing)), verdict: 'suspect' } as Connection
    const remedies = remediesFor([one], {}, ['docker-desktop-mac'])
    expect(examineCounters([one], [hops['docker-desktop-mac']], remedies)).toEqual([
      expect.objectContaining({
        code: 'unanswered',
        severity: 'note',
        fault: 'path',
        command: 'deadpeer ls --pid 7 --state established',
      }),
    ])
    const idle = { ...connection(record({})), verdict: 'alive', silentFor: 400_000 } as Connection
    expect(examineCounters([idle], [hops['docker-desktop-mac']], remedies)).toEqual([
      expect.objectContaining({ command: 'deadpeer ls --pid 7 --state established' }),
    ])
    expect(remedies.tune([one])).toBe('deadpeer tune --pid 7 --off --user-timeout 120s')
  })

  const wait = { state: 'close-wait' } as const
  const shut = { timer: 'window-probe', sendQueue: 34e6 } as const
  const before = record(wait, { lastAckRecv: 3_100 })

  it('are taken only if a connection is in CLOSE-WAIT or behind a closed window', () => {
    expect(mayBeStuck(connection(record({})))).toBe(false)
    expect(mayBeStuck(connection(record(wait)))).toBe(true)
    expect(mayBeStuck(connection(record(shut)))).toBe(true)
  })

  it('show the minimum time since the FIN', () => {
    expect(found(before, record(wait, { lastDataSent: 9_000 }))).toEqual([
      expect.objectContaining({
        code: 'closed-by-peer',
        message: 'The peer closed its side at least 5.1s ago, and your program has not: a descriptor leaks.',
      }),
    ])
  })

  it.each([
    { what: 'closed in the meantime', after: undefined },
    { what: 'in another state', after: record({ state: 'last-ack' }) },
    { what: 'still sending', after: record(wait, { lastDataSent: 1_999 }) },
    { what: 'with data that waits', after: record({ ...wait, sendQueue: 1 }, { lastDataSent: 9_000 }) },
  ])('find nothing wrong in CLOSE_WAIT: $what', ({ after }) => {
    expect(found(before, after)).toEqual([])
  })

  it('report the number of queued bytes, and name the peer as the cause', () => {
    expect(found(record(shut, { bytesAcked: 5 }), record(shut, { bytesAcked: 5 }))).toEqual([
      expect.objectContaining({
        code: 'peer-not-reading',
        severity: 'warning',
        fault: 'peer',
        message: 'The peer is alive but not reading: 34 MB queued behind its closed window for at least 2s.',
        command: 'deadpeer tune --pid 7 --profile cloud',
      }),
    ])
  })

  it('report a peer that does not read as a note if a userTimeout will end the connection', () => {
    const same = record(shut, { bytesAcked: 5 })
    expect(found(same, same, profiles.lan)).toMatchObject([
      {
        code: 'peer-not-reading',
        severity: 'note',
        change: 'userTimeout ends the connection if the peer reads nothing for 6 s.',
        command: 'deadpeer ls --pid 7 --state established',
      },
    ])
  })

  it.each([
    { what: 'it acknowledged data', after: record(shut, { bytesAcked: 6 }) },
    { what: 'its window has opened', after: record({ sendQueue: 9 }) },
  ])('find no peer that stopped reading: $what', ({ after }) => {
    expect(found(record(shut, { bytesAcked: 5 }), after)).toEqual([])
  })
})

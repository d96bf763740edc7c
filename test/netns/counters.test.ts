import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Counters, type LivenessCounters, livenessCounters, readCounters } from '../../src/host/index.js'
import { connectPair } from '../support/connections.js'
import { hasNamespaces, runInNamespace } from '../support/network-namespace.js'
import { until } from '../support/until.js'

const none: LivenessCounters = {
  keepaliveProbes: 0,
  windowProbes: 0,
  retransmissionTimeouts: 0,
  abortsOnTimeout: 0,
  failedAborts: 0,
  resetsSent: 0,
  endedAbruptly: 0,
  outOfWindowIcmps: 0,
  established: 0,
}

describe.runIf(hasNamespaces)('the counters of a quiet network namespace', () => {
  let grown: Record<string, LivenessCounters>
  let quiet: { counters: Counters; nstat: Record<string, number> }
  beforeAll(async () => {
    ;({ grown, quiet } = await runInNamespace('counted.mjs'))
  })

  it('count an answered probe as a probe', () => {
    expect(grown.answeredProbe).toEqual({ ...none, keepaliveProbes: 1, established: 2 })
  })

  it('count a death by keepalive as a probe, an abort, a reset sent, and a connection that ended abruptly', () => {
    expect(grown.keepaliveDeath).toEqual({
      ...none,
      keepaliveProbes: 1,
      abortsOnTimeout: 1,
      resetsSent: 1,
      endedAbruptly: 1,
      // The peer does not know that the connection has ended.
      established: 1,
    })
  })

  it('count a death with data in flight as an abort on timeout, without a reset', () => {
    const { retransmissionTimeouts, ...others } = grown.deathInFlight!
    expect(others).toMatchObject({ abortsOnTimeout: 1, resetsSent: 0, endedAbruptly: 1, keepaliveProbes: 0 })
    expect(retransmissionTimeouts).toBeGreaterThan(1)
  })

  it('count a reset once, and both ends as ended abruptly', () => {
    expect(grown.reset).toEqual({ ...none, resetsSent: 1, endedAbruptly: 2 })
  })

  it('count a refused connection as a reset sent, and no connection as ended', () => {
    expect(grown.refused).toEqual({ ...none, resetsSent: 1 })
  })

  it('count the probes of a window that stays closed', () => {
    expect(grown.unopenedWindow!.windowProbes).toBeGreaterThan(0)
    expect(grown.unopenedWindow).toMatchObject({ keepaliveProbes: 0, abortsOnTimeout: 0 })
  })

  it('count a reset that cannot be sent both as a failed abort and as sent', () => {
    expect(grown.resetThatCannotLeave).toEqual({
      ...none,
      failedAborts: 1,
      resetsSent: 1,
      endedAbruptly: 1,
      established: 1,
    })
  })

  it('equal all counters of nstat', () => {
    const { time, ...groups } = quiet.counters
    const ours = Object.fromEntries(
      Object.entries(groups).flatMap(([group, counters]) =>
        Object.entries(counters!).map(([name, value]) => [`${group}${name}`, value]),
      ),
    )
    const compared = Object.keys(quiet.nstat)
    expect(compared.length).toBeGreaterThan(300)
    expect(Object.fromEntries(compared.map((name) => [name, ours[name]]))).toEqual(quiet.nstat)
  })

  it('include the sockets of sockstat', () => {
    expect(quiet.counters.TCP?.inuse).toBeGreaterThanOrEqual(quiet.counters.Tcp.CurrEstab!)
  })
})

describe.runIf(hasNamespaces)("the counters of another process's namespace", () => {
  let holder: ChildProcess
  beforeAll(async () => {
    holder = spawn('unshare', ['-n', 'sh', '-c', 'sleep 0 & echo $!; exec cat'])
  })
  afterAll(() => holder.kill('SIGKILL'))

  it('are read by pid, and differ from ours', async () => {
    const [zombie] = await once(holder.stdout!, 'data')
    await connectPair()
    expect(readCounters({ pid: holder.pid! }).Tcp).toMatchObject({ ActiveOpens: 0, PassiveOpens: 0 })
    expect(readCounters().Tcp.ActiveOpens).toBeGreaterThan(0)
    expect(readCounters({ pid: process.pid }).Tcp.ActiveOpens).toBeGreaterThan(0)
    expect(livenessCounters(readCounters({ pid: holder.pid! }))).toEqual(none)

    // The shell has become cat, which waits for no child.
    await until(() => codeOf(() => readCounters({ pid: Number(zombie) })) === 'ESRCH')
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    expect(() => readCounters({ pid: holder.pid! })).toThrow(
      expect.objectContaining({ name: 'DeadpeerError', code: 'ESRCH', errno: -3, field: 'pid' }),
    )
  })
})

function codeOf(call: () => void): unknown {
  try {
    call()
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  }
}

import { constants } from 'node:os'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { descriptorOf } from '../../src/connection/target.js'
import { type Death, inspect, tune, watch } from '../../src/index.js'
import { type NativeCore, nativeCore } from '../../src/kernel/binding.js'
import { blackHole } from '../../src/testing/index.js'
import { connectPair, type Pair } from '../support/connections.js'
import { kernelOptions, silenceOf } from '../support/idle-connections.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { until } from '../support/until.js'

/** The columns of a sample's row in the native core. The first one is the error. */
const LOOK_COLUMNS = 10

const HEARTBEAT = { every: 1_000, timeout: 100, attempts: 2 }

const errnos = ['ENOBUFS', 'EINTR', 'ENOMEM', 'EPERM'] as const

/** Which call for a connection fails once: the first sample, the next …; the write that probes; the write that stops probing. */
const faults = [
  { call: 'look', time: 1 },
  { call: 'look', time: 2 },
  { call: 'look', time: 3 },
  { call: 'look', time: 5 },
  { call: 'writeKeepalive', time: 1 },
  { call: 'writeKeepalive', time: 2 },
  { call: 'readCookie', time: 1 },
] as const

interface Fault {
  readonly call: (typeof faults)[number]['call']
  readonly time: number
  readonly errno: number
  seen: number
}

const rows = faults
  .flatMap((fault) => errnos.map((errno) => ({ ...fault, errno })))
  .filter(
    // Only a shortage is tried again, and a cookie is read once.
    ({ call, errno }) => call !== 'readCookie' || errno !== 'EPERM',
  )

describe.runIf(hasNetAdmin)('a heartbeat of which one system call fails', () => {
  const core = nativeCore()!
  const own: Pick<NativeCore, 'look' | 'writeKeepalive' | 'readCookie'> = { ...core }
  const pending = new Map<number, Fault>()
  const warnings: NodeJS.ErrnoException[] = []
  const noteWarning = (warning: Error) => warnings.push(warning)

  beforeAll(() => {
    process.on('warning', noteWarning)
    core.look = (count, fds, cookies, looks, options) => {
      own.look(count, fds, cookies, looks, options)
      for (let i = 0; i < count; i++) {
        const errno = failing('look', fds[i]!)
        if (errno !== undefined) looks[i * LOOK_COLUMNS] = errno
      }
    }
    core.writeKeepalive = (count, fds, before, wanted, asks) => {
      const refused = own.writeKeepalive(count, fds, before, wanted, asks) ?? []
      for (let i = 0; i < count; i++) {
        const errno = failing('writeKeepalive', fds[i]!)
        if (errno !== undefined) {
          own.writeKeepalive(1, fds.slice(i, i + 1), before.slice(i * 5), before.slice(i * 5), false)
          refused.push({ index: i, refusal: { errno, option: 'initialDelay', written: [] } })
        }
      }
      return refused.length > 0 ? refused : undefined
    }
    core.readCookie = (fd) => {
      const errno = failing('readCookie', fd)
      return errno === undefined ? own.readCookie(fd) : { errno }
    }
  })
  afterAll(() => {
    Object.assign(core, own)
    process.off('warning', noteWarning)
  })

  function failing(call: Fault['call'], fd: number): number | undefined {
    const fault = pending.get(fd)
    if (fault?.call !== call || ++fault.seen !== fault.time) return undefined
    return fault.errno
  }

  it('still finds a peer that vanishes, and warns once for each errno', async () => {
    const deaths = new Map<Pair, Death>()
    const pairs: { row: (typeof rows)[number]; pair: Pair; fault: Fault }[] = []
    const watcher = watch({ heartbeat: HEARTBEAT, onDead: 'report' })
    watcher.on('dead', (death) => {
      const found = pairs.find(({ pair }) => pair.socket === death.socket)
      if (found) deaths.set(found.pair, death)
    })
    for (const row of rows) {
      const pair = await connectPair()
      const fault: Fault = { ...row, errno: -constants.errno[row.errno], seen: 0 }
      pending.set(descriptorOf(pair.socket), fault)
      pairs.push({ row, pair, fault })
      blackHole(pair.peer)
      watcher.add(pair.socket)
    }
    await until(() => deaths.size === rows.length, 20_000).catch(() => {})
    const unfound = pairs.filter(({ pair }) => !deaths.has(pair)).map(({ row }) => row)
    expect(unfound).toEqual([])
    for (const { row, fault } of pairs)
      expect(fault.seen, JSON.stringify(row)).toBeGreaterThanOrEqual(row.time)
    for (const [, death] of deaths) expect(death.detectedBy).toBe('heartbeat')
    watcher.close()
    const codes = warnings.map(({ code }) => code)
    expect([...new Set(codes)]).toEqual(codes)
    for (const { pair } of pairs) expect(kernelOptions(pair.socket)).toMatchObject({ enable: false })
    expect(codes.every((code) => (errnos as readonly unknown[]).includes(code))).toBe(true)
  })

  it('still applies a deferred value after the read of the cookie has failed', async () => {
    const pair = await connectPair()
    await until(() => silenceOf(pair.socket) >= 3_500)
    const wanted = { initialDelay: 1_000, interval: 1_000, count: 4, userTimeout: 4_000 }
    const hole = blackHole(pair.peer)
    tune(pair.socket, wanted)
    expect(inspect(pair.socket).pending).toMatchObject({ userTimeout: 4_000 })
    pending.set(descriptorOf(pair.socket), {
      call: 'readCookie',
      time: 1,
      errno: -constants.errno.ENOBUFS,
      seen: 0,
    })
    hole.restore()
    await until(() => inspect(pair.socket).profile.userTimeout === 4_000)
  })
})

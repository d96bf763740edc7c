import { spawnSync } from 'node:child_process'
import { inspect as show } from 'node:util'
import { describe, expect, it } from 'vitest'
import { diffCounters, livenessCounters, readCounters, readDefaults } from '../../src/host/index.js'
import { inspect, tune } from '../../src/index.js'
import { readProcFile } from '../../src/kernel/proc-file.js'
import { connectPair } from '../support/connections.js'
import { openDescriptors } from '../support/descriptors.js'

describe('readCounters', () => {
  it('counts what happens between two readings', async () => {
    const before = readCounters()
    await connectPair()
    const after = readCounters()
    const rates = diffCounters(before, structuredClone(after))
    expect(rates.elapsed).toBeCloseTo(after.time - before.time)
    expect((rates.Tcp.ActiveOpens! * rates.elapsed) / 1000).toBeGreaterThanOrEqual(0.99)
    expect(livenessCounters(after).established).toBeGreaterThanOrEqual(2)
  })

  it.each<{ options: unknown; code: string; message: RegExp }>([
    { options: 4711, code: 'ERR_INVALID_ARG_TYPE', message: /\{ pid: 4711 \}/ },
    { options: null, code: 'ERR_INVALID_ARG_TYPE', message: /null/ },
    { options: { pid: '1' }, code: 'ERR_INVALID_ARG_TYPE', message: /string/ },
    { options: { pid: 1n }, code: 'ERR_INVALID_ARG_TYPE', message: /got 1n, a bigint/ },
    { options: { pid: 0 }, code: 'ERR_OUT_OF_RANGE', message: /from 1/ },
    { options: { pid: -1 }, code: 'ERR_OUT_OF_RANGE', message: /from 1/ },
    { options: { pid: 1.5 }, code: 'ERR_OUT_OF_RANGE', message: /whole/ },
    { options: { pid: Number.NaN }, code: 'ERR_OUT_OF_RANGE', message: /whole/ },
    { options: { pid: 2 ** 31 }, code: 'ERR_OUT_OF_RANGE', message: /whole/ },
    // Beyond what Linux gives out.
    { options: { pid: 2 ** 31 - 1 }, code: 'ESRCH', message: /no process 2147483647/ },
  ])('refuses $options with $code', ({ options, code, message }) => {
    const call = () => readCounters(options as { pid: number })
    expect(call).toThrow(expect.objectContaining({ code }))
    expect(call).toThrow(message)
  })

  it('leaves no descriptor open, with or without an error', () => {
    const before = openDescriptors()
    for (let i = 0; i < 200; i++) {
      readCounters()
      readDefaults()
      expect(() => readCounters({ pid: 2 ** 31 - 1 })).toThrow()
      expect(() => readProcFile('/proc/self')).toThrow()
    }
    expect(openDescriptors()).toBe(before)
  })

  it('throws the errno of a file that may not be read', () => {
    expect(() => readProcFile('/proc/self')).toThrow(
      expect.objectContaining({ name: 'DeadpeerError', code: 'EISDIR', errno: -21, syscall: 'read' }),
    )
  })

  it('works without the native core, on Linux only', () => {
    const script = `
      import { readCounters, readDefaults } from 'deadpeer/host'
      readCounters(), readDefaults()
      Object.defineProperty(process, 'platform', { value: 'darwin' })
      for (const read of [readCounters, readDefaults]) {
        try { read() } catch ({ code, message }) { console.log(code, message) }
      }`
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      env: { ...process.env, DEADPEER_NATIVE: 'off' },
    })
    expect(stdout).toBe(
      'ERR_UNSUPPORTED_PLATFORM readCounters needs Linux, because it reads /proc; this system is darwin.\n' +
        'ERR_UNSUPPORTED_PLATFORM readDefaults needs Linux, because it reads /proc; this system is darwin.\n',
    )
  })
})

describe("an inspection with the system's defaults", () => {
  it("names the options that equal the system's default, and prints none of these names", async () => {
    const { socket } = await connectPair()
    tune(socket, { initialDelay: 5_000, userTimeout: 9_000 })
    const inspection = inspect(socket)
    expect(inspection.equalsDefault).toEqual(
      expect.arrayContaining(['interval', 'count', 'synCount', 'failOnIcmp']),
    )
    for (const name of ['enable', 'initialDelay', 'userTimeout']) {
      expect(inspection.equalsDefault).not.toContain(name)
    }
    expect(show(inspection)).toMatch(/^Inspection \{\n {2}verdict: 'alive',\n.*\n {2}profile: \{/)
    expect(show(inspection)).not.toMatch(/Getter|equalsDefault/)
    expect(Object.keys(inspection)).toEqual(['verdict', 'evidence', 'profile', 'path', 'info'])
  })
})

import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { MeasuredPath } from '../../src/path/index.js'
import { deadpeer } from '../support/deadpeer-command.js'
import { freePort } from '../support/installed-server.js'
import { hasNamespaces } from '../support/network-namespace.js'
import { hasTmux, Terminal } from '../support/terminal.js'
import { until } from '../support/until.js'

const LIMIT = 3_000

/** Closes a connection after LIMIT. */
const closing = net.createServer((socket) => {
  socket.on('error', () => {}).resume()
  setTimeout(() => socket.destroy(), LIMIT)
})
/** Keeps connections. */
const keeping = net.createServer((socket) => void socket.on('error', () => {}).resume())
let closingPort: number
let keepingPort: number
const folder = mkdtempSync(join(tmpdir(), 'deadpeer-measure-'))

beforeAll(async () => {
  const listen = async (server: net.Server) => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as net.AddressInfo).port
  }
  closingPort = await listen(closing)
  keepingPort = await listen(keeping)
})
afterAll(() => {
  closing.close()
  keeping.close()
  rmSync(folder, { recursive: true, force: true })
})

describe.concurrent('deadpeer measure', () => {
  it('prints the limit, what ends connections, and what probes do', async () => {
    const { code, out, err } = await deadpeer(['measure', `127.0.0.1:${closingPort}`, '--up-to', '5s'])
    expect(code).toBe(0)
    expect(out).toEqual([
      `127.0.0.1:${closingPort}, from the client`,
      expect.stringMatching(/^ {2}idle limit {4}(2\.9\d|3) s to (2\.9\d|3|3\.0\d) s$/),
      '  at the limit  closed with a FIN, by the other end',
      '  probes        acknowledged; they do not restart the idle time',
      expect.stringMatching(/^ {2}round trip {4}[\d.]+ ms, from [\d.]+ to [\d.]+ ms$/),
      'note: The other end closes idle connections itself. If a hop before it has a longer limit, this measurement cannot see it.',
      'note: Probes do not restart the idle time. Only data keeps a connection open on this path.',
    ])
    // Not a terminal: one line for each observation.
    expect(err[0]).toMatch(/^deadpeer: no limit so far, \d+ connections? open, up to 5 s left$/)
    expect(err).toContainEqual(
      expect.stringMatching(/^deadpeer: idle for 1\.5 s: alive, acknowledged a probe$/),
    )
    expect(err).toContainEqual(expect.stringMatching(/^deadpeer: idle for 3 s: closed by the other side$/))
    expect(err).toContainEqual(
      expect.stringMatching(/^deadpeer: probed every 1\.2 s for 3 s: closed by the other side$/),
    )
  })

  it('prints JSON that plan and doctor take as a hop', async () => {
    const { code, out } = await deadpeer(['measure', `localhost:${closingPort}`, '--up-to', '4s', '--json'])
    expect(code).toBe(0)
    const measured = JSON.parse(out.join('\n')) as MeasuredPath
    expect(measured).toMatchObject({ name: `localhost:${closingPort}`, side: 'client', onExpiry: 'close' })
    const file = join(folder, 'path.json')
    writeFileSync(file, out.join('\n'))
    const planned = await deadpeer(['plan', '--hop', `@${file}`, '--hop', 'linux-conntrack', '--json'])
    expect(planned.code).toBe(0)
    const { path } = JSON.parse(planned.out.join('\n'))
    expect(path[0]).toMatchObject({ name: measured.name, idleTimeout: measured.idleLimit!.atLeast })
    const text = await deadpeer(['plan', '--hop', `@${file}`])
    expect(text.out[0]).toContain(`measured from the client: ${measured.name}`)
  })

  it('prints what is known so far after Ctrl-C', async () => {
    const { code, out, err } = await deadpeer(['measure', `127.0.0.1:${keepingPort}`, '--json'], {
      interruptWhen: async (_, errors) => void (await until(() => errors().length > 2)),
    })
    expect(code).toBe(130)
    expect(JSON.parse(out.join('\n'))).toMatchObject({ complete: false, answersProbes: 'yes' })
    expect(err.every((line) => line.startsWith('deadpeer: '))).toBe(true)
  })

  it.runIf(hasTmux)('shows progress with the time left in a terminal, and erases it', async () => {
    using terminal = new Terminal(['measure', `127.0.0.1:${keepingPort}`, '--up-to', '4s'])
    await terminal.shows(/^no limit so far, \d+ connections open, up to [1-4] s left, [1-3] s$/)
    expect(await terminal.ends()).toBe(0)
    const text = terminal.all().join('\n')
    expect(text).toContain('none up to 4 s')
    expect(text).not.toContain('so far')
  })

  it('measures from the listening side, and prints the result on both sides', async () => {
    const port = await freePort()
    const listening = deadpeer(['measure', '--listen', String(port), '--up-to', '4s'])
    await until(async () => await isListening(port))
    const [server, client] = await Promise.all([listening, deadpeer(['measure', `127.0.0.1:${port}`])])
    expect(server.code).toBe(0)
    expect(server.err[0]).toBe('deadpeer: waiting for connections from the other side')
    expect(server.out[0]).toBe(`port ${port}, from the listening side`)
    expect(server.out[1]).toMatch(/none up to (4|3\.\d) s$/)
    expect(client.err[0]).toMatch(/^deadpeer: the other side measures; keep this running/)
    expect({ code: client.code, out: client.out }).toEqual({ code: 0, out: server.out })
  })
})

/** Without a connection to it. */
async function isListening(port: number): Promise<boolean> {
  const server = net.createServer()
  server.listen(port)
  try {
    await once(server, 'listening')
    server.close()
    await once(server, 'close')
    return false
  } catch {
    return true
  }
}

describe('deadpeer measure refuses in one line', () => {
  const destination = '127.0.0.1:1'
  const hostAndPort = 'HOST:PORT such as db.example.com:5432 or [2001:db8::1]:5432'
  it.each([
    [[], '<destination> or --listen is missing; --help shows what this command takes'],
    [['127.0.0.1'], `<destination> must be ${hostAndPort}; got '127.0.0.1'`],
    [['::1:80'], `<destination> must be ${hostAndPort}; got '::1:80'`],
    [['host:65536'], `<destination> must be ${hostAndPort}; got 'host:65536'`],
    [[destination, '--listen', '7000'], '--listen does not take a <destination>: the other end connects'],
    [
      ['--listen', '7000', '--tls'],
      '--listen does not take --tls or --http: it accepts plain TCP connections',
    ],
    [[destination, '--up-to', '0s'], "--up-to must be whole milliseconds from 2s to 1d; got '0s'"],
    [
      [destination, '--up-to', '0'],
      "--up-to must be a number with a unit: 1500ms, 30s, 5m, 1h or 5d; got '0'. Did you mean 0s or 0ms?",
    ],
    [[destination, '--connections', '61'], "--connections must be a whole number from 2 to 60; got '61'"],
    [[destination], 'Cannot measure 127.0.0.1:1: the connection was refused (ECONNREFUSED).'],
    [
      ['host.invalid:80'],
      expect.stringMatching(/^deadpeer: Cannot measure host\.invalid:80: the name .*\.$/),
    ],
  ])('%j', async (args, message) => {
    const { code, out, err } = await deadpeer(['measure', ...args])
    expect({ code, out }).toEqual({ code: 2, out: [] })
    expect(err).toEqual([typeof message === 'string' ? `deadpeer: ${message}` : message])
  })

  it.runIf(hasNamespaces)('an unreachable host', async () => {
    const unreachable = 'ip link set lo up && ip route add unreachable 192.0.2.0/24 && exec "$@"'
    const { code, out, err } = await deadpeer(['measure', '192.0.2.1:80'], {
      before: ['unshare', '-n', 'sh', '-c', unreachable, 'sh'],
    })
    expect({ code, out }).toEqual({ code: 2, out: [] })
    expect(err).toEqual(['deadpeer: Cannot measure 192.0.2.1:80: the host is unreachable (EHOSTUNREACH).'])
  })
})

describe('a measured hop', () => {
  const wanted = '@file.json, where the file has what deadpeer measure --json printed'
  const valid = { name: 'db:1', side: 'client', http: false, idleTried: 9_000, observations: [], notes: [] }
  it.each([
    ['of a file that does not exist', undefined, 'This file cannot be read (ENOENT)'],
    ['of a file that is not JSON', 'soon', 'This file is not JSON'],
    ['of another JSON file', '{"idleTimeout":9000}', 'This file is not the result of a measurement'],
    [
      'with a wrong field',
      JSON.stringify({ ...valid, idleLimit: { atLeast: '9 s', atMost: 9_500 } }),
      "idleLimit.atLeast of a measured path must be a time from 0; got '9 s', a string",
    ],
  ])('%s is refused in one line', async (_, content, reason) => {
    const file = join(folder, `${Math.random()}.json`)
    if (content !== undefined) writeFileSync(file, content)
    const { code, out, err } = await deadpeer(['plan', '--hop', `@${file}`])
    expect({ code, out }).toEqual({ code: 2, out: [] })
    expect(err).toEqual([`deadpeer: --hop must be ${wanted}; got '@${file}'. ${reason}`])
  })
})

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { listSockets } from '../../src/host/index.js'
import { blackHole } from '../../src/testing/index.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { latest, timed } from '../support/tolerance.js'
import { until } from '../support/until.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const node = (...args: string[]) => execFileSync(process.execPath, args, { encoding: 'utf8', cwd: root })

/** The first JavaScript example of a page. */
function firstExample(page: string): string {
  const [, example = ''] = /```js\n([\s\S]*?)```/.exec(readFileSync(`${root}/${page}`, 'utf8')) ?? []
  return example
}

describe("the README's first example, as it stands", () => {
  const example = firstExample('README.md')
  let child: ChildProcess
  let output: string
  let client: net.Socket
  async function start(code: string) {
    output = ''
    child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    child.stdout!.setEncoding('utf8').on('data', (chunk) => {
      output += chunk
    })
    await until(async () => {
      client = net.connect(7000, '127.0.0.1').on('error', () => {})
      return await once(client, 'connect').then(
        () => true,
        () => false,
      )
    })
    client.write('hello')
    await once(client, 'data')
  }
  afterEach(async () => {
    client.destroy()
    child.kill()
    // So that the next test does not connect to this one.
    if (child.signalCode === null) await once(child, 'exit')
  })

  it('tunes what it accepts, and reports a connection that the client resets', async () => {
    await start(example)
    const [accepted] = await listSockets({ states: ['established'], localPort: 7000 })
    expect(accepted).toMatchObject({ timer: 'keepalive' })
    expect(accepted!.expires).toBeLessThanOrEqual(30_000)
    client.resetAndDestroy()
    await until(() => output.endsWith('closed\n'))
    expect(output).toBe('listening\nread ECONNRESET\nconnection closed\n')
  })

  it.runIf(hasNetAdmin)('reports a vanished client, after 6 s with lan', { timeout: 20_000 }, async () => {
    const faster = example.replace("tune(server, 'cloud')", "tune(server, 'lan')")
    expect(faster).not.toBe(example)
    await start(faster)
    using _ = blackHole(client)
    const vanished = performance.now()
    await until(() => output.endsWith('closed\n'))
    expect(output).toBe('listening\nread ETIMEDOUT\nconnection closed\n')
    if (timed) expect(performance.now() - vanished).toBeLessThan(latest(6_000))
  })
})

describe('the first example of docs/tune.md, as it stands', () => {
  const example = firstExample('docs/tune.md')

  it('prints the options that the kernel has', () => {
    const output = node('--input-type=module', '-e', example)
    expect(output).toMatch(/initialDelay: 3000/)
    expect(output).toMatch(/verdict: 'alive'/)
  })

  it('runs without a native core as well, with one warning', () => {
    const env = { ...process.env, DEADPEER_NATIVE: 'off' }
    const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', example], {
      encoding: 'utf8',
      cwd: root,
      env,
    })
    expect(status).toBe(0)
    expect(stdout).toMatch(/not read: the native core is not available/)
    expect(stderr.match(/Warning:/g)).toHaveLength(1)
    expect(stderr).toMatch(/DEADPEER_NO_NATIVE_CORE/)
  })
})

describe('the package', () => {
  it('can be imported and required, to the same functions', () => {
    const names = 'Object.keys(deadpeer).sort().join()'
    const imported = node(
      '--input-type=module',
      '-e',
      `import * as deadpeer from 'deadpeer'; console.log(${names})`,
    )
    // Node 20 and 22 call this experimental; what matters is that it works.
    const required = node(
      '--no-warnings',
      '--input-type=commonjs',
      '-e',
      `const deadpeer = require('deadpeer'); console.log(${names})`,
    )
    expect(imported).toContain('tuneAll')
    expect(required.replace(/,?__esModule|,?module\.exports/g, '')).toBe(imported)
  })

  it('does nothing when imported: loads no native core, opens nothing, keeps nothing alive', () => {
    // Node 26 opens /dev/null, once, for whoever imports node:util.
    const script = `
      import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
      import 'node:util'
      // Each as number and file; but for the one that lists them, which is closed by then.
      const open = () => readdirSync('/proc/self/fd').flatMap((fd) => {
        try { return [fd + ' ' + readlinkSync('/proc/self/fd/' + fd)] } catch { return [] }
      })
      const before = open()
      await import('deadpeer')
      await import('deadpeer/testing')
      await import('deadpeer/host')
      await import('deadpeer/plan')
      await import('deadpeer/metrics')
      const maps = readFileSync('/proc/self/maps', 'utf8')
      console.log(JSON.stringify({
        loaded: /deadpeer[.a-z-]*[.]node/.test(maps),
        opened: open().filter((each) => !before.includes(each)),
        active: process.getActiveResourcesInfo().filter((kind) => /Timer|Timeout|TCP|Immediate/.test(kind)),
      }))`
    expect(JSON.parse(node('--input-type=module', '-e', script))).toEqual({
      loaded: false,
      opened: [],
      active: [],
    })
  })

  it('keeps no process running, even while values are pending', () => {
    const script = `
      import net from 'node:net'
      import { inspect, tune } from 'deadpeer'
      const server = net.createServer().listen(0, '127.0.0.1', () => {
        const socket = net.connect(server.address().port, '127.0.0.1', () => setTimeout(() => {
          tune(socket, { initialDelay: 1_000, interval: 1_000, count: 9, userTimeout: 2_500 })
          console.log(JSON.stringify(inspect(socket).pending))
          socket.unref()
          server.unref()
        }, 2_500))
      }).on('connection', (peer) => peer.unref())`
    expect(JSON.parse(node('--input-type=module', '-e', script))).toEqual({ userTimeout: 2_500 })
  })
})

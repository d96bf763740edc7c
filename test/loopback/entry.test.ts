import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const node = (...args: string[]) => execFileSync(process.execPath, args, { encoding: 'utf8', cwd: root })

describe("the README's example, as it stands", () => {
  const [, example = ''] =
    /## Use\n\n```js\n([\s\S]*?)```/.exec(readFileSync(`${root}/README.md`, 'utf8')) ?? []

  it('shows what the kernel has', () => {
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
    expect(stdout).toMatch(/not read: there is no native core here/)
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
        loaded: maps.includes('deadpeer.node'),
        opened: open().filter((each) => !before.includes(each)),
        active: process.getActiveResourcesInfo().filter((kind) => /Timer|Timeout|TCP|Immediate/.test(kind)),
      }))`
    expect(JSON.parse(node('--input-type=module', '-e', script))).toEqual({
      loaded: false,
      opened: [],
      active: [],
    })
  })

  it('keeps no process running, also with values pending', () => {
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

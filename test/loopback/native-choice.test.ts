import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'

// DEADPEER_NATIVE, in a copy of the package that has lost its binaries.

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'deadpeer-lost-'))
cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true })
afterAll(() => rmSync(folder, { recursive: true }))

const binary = ['build/Release/deadpeer.node', `prebuilds/linux-${process.arch}/deadpeer.glibc.node`]
  .map((path) => join(root, path))
  .find((path) => existsSync(path))!

function run(wanted: string | undefined): { native: boolean; reason?: string; tune: string } {
  const script = `
    const { capabilities, tune } = require('./dist/index.js')
    const { native, reason } = capabilities()
    const codeOf = (run) => { try { run() } catch ({ code, message }) { return code + ': ' + message } }
    console.log(JSON.stringify({ native, reason, tune: codeOf(() => tune(1_000_000, 'lan')) }))`
  // A sanitizer's run names a binary in DEADPEER_NATIVE.
  const env = { ...process.env, DEADPEER_NATIVE: wanted ?? '' }
  const output = execFileSync(process.execPath, ['-e', script], { cwd: folder, env, encoding: 'utf8' })
  return JSON.parse(output)
}

describe('a package without its binaries', () => {
  it('says which line of configuration a bundler needs', () => {
    const { native, reason } = run(undefined)
    expect(native).toBe(false)
    expect(reason).toMatch(/^the package's binary for linux-\w+-\w+ was not found/)
    for (const line of [
      '--external:deadpeer',
      "externals: [/^deadpeer/], externalsType: 'commonjs'",
      'external: [/^deadpeer/]',
    ])
      expect(reason).toContain(line)
    expect(reason).toContain('docs/install.md')
  })

  it('throws at the first use with DEADPEER_NATIVE=required, and capabilities() still gives the reason', () => {
    const { native, reason, tune } = run('required')
    expect({ native, reason }).toEqual({ native: false, reason: run(undefined).reason })
    expect(tune).toMatch(
      /^ERR_UNSUPPORTED_PLATFORM: .*DEADPEER_NATIVE=required requires it: the package's binary/,
    )
  })

  it('ends a program that loads deadpeer/register with DEADPEER_NATIVE=required', () => {
    const env = { ...process.env, DEADPEER_NATIVE: 'required' }
    const args = ['--require', './dist/register.js', '-e', 'console.log("ran")']
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      cwd: folder,
      env,
      encoding: 'utf8',
    })
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toMatch(/^deadpeer\/register: There is no native core/)
  })

  it('loads another binary if DEADPEER_NATIVE is its path', () => {
    expect(run(binary)).toMatchObject({
      native: true,
      tune: expect.stringMatching(/^(ERR_SOCKET_CLOSED|EBADF)/),
    })
  })

  it.each(['/nonexistent/deadpeer.node', 'on', './deadpeer.node'])(
    'throws with DEADPEER_NATIVE=%s',
    (wanted) => {
      const { native, reason, tune } = run(wanted)
      expect(native).toBe(false)
      expect(reason).toContain(wanted)
      expect(tune).toContain(
        `ERR_UNSUPPORTED_PLATFORM: There is no native core, and DEADPEER_NATIVE=${wanted} requires it`,
      )
    },
  )
})

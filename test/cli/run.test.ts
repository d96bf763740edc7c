import { type SpawnSyncOptions, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { profiles } from '../../src/index.js'
import { inTerminal, program } from '../support/deadpeer-command.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const fixture = (path: string) => fileURLToPath(new URL(path, import.meta.url))

// The environment of the test run may contain some of these.
const {
  NODE_OPTIONS: _,
  DEADPEER_PROFILE: __,
  DEADPEER_RULES: ___,
  DEADPEER_WATCH: ____,
  DEADPEER_PATH: _____,
  ...clean
} = process.env

function run(args: readonly string[], { env = {}, ...options }: SpawnSyncOptions = {}, cli = program) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [cli, 'run', ...args], {
    timeout: 30_000,
    ...options,
    encoding: 'utf8',
    env: { ...clean, ...env },
  })
  return { status, signal, stdout, stderr }
}

const node = (script: string) => ['--', process.execPath, '-e', script]
const printEnvironment = node(
  `const { NODE_OPTIONS, DEADPEER_PROFILE, DEADPEER_RULES, DEADPEER_WATCH } = process.env
   console.log(JSON.stringify({ NODE_OPTIONS, DEADPEER_PROFILE, DEADPEER_RULES, DEADPEER_WATCH }))`,
)

describe('deadpeer run', () => {
  it.each(['datacenter', '15s/5s/3', '15/5/3', JSON.stringify(profiles.datacenter)])(
    'tunes the connections of children and cluster workers, from any folder (--profile %s)',
    (profile) => {
      const { stdout, stderr } = run(
        ['--profile', profile, '--', process.execPath, fixture('../loopback/fixtures/has-children.mjs')],
        { cwd: '/' },
      )
      expect(stderr).toBe('')
      const found = JSON.parse(stdout) as Record<string, object>
      expect(Object.keys(found)).toEqual(['fork', 'cluster.fork'])
      const { initialDelay, interval, count } = profiles.datacenter
      for (const connections of Object.values(found)) {
        const wanted = { enable: true, initialDelay, interval, count }
        expect(connections).toMatchObject({ opened: wanted, accepted: wanted })
      }
    },
  )

  it('tunes in programs that a shell starts, and in worker threads', () => {
    const worker = fixture('../loopback/fixtures/connecting-worker.mjs')
    const script = `new (require('node:worker_threads').Worker)(${JSON.stringify(worker)})`
    const shell = ['--', 'sh', '-c', '"$0" -e "$1"', process.execPath, script]
    const { stdout } = run(['--profile', 'lan', ...shell], { cwd: '/' })
    expect(JSON.parse(stdout)).toMatchObject(profiles.lan)
  })

  it("delivers messages that are sent to a cluster worker at 'online'", () => {
    const { stdout } = run(['--', process.execPath, fixture('fixtures/greets-at-online.cjs')])
    expect(JSON.parse(stdout)).toEqual(['hello 0', 'hello 1', 'hello 2'])
  })

  it('sets the variables of the options that are given, and keeps NODE_OPTIONS and the other variables', () => {
    const env = { NODE_OPTIONS: '--no-warnings', DEADPEER_RULES: '22=off', DEADPEER_WATCH: '1' }
    const { stdout } = run(['--profile', 'lan', '--watch=report', ...printEnvironment], { env })
    expect(JSON.parse(stdout)).toEqual({
      NODE_OPTIONS: `--no-warnings --require ${root}dist/register.js`,
      DEADPEER_PROFILE: 'lan',
      DEADPEER_RULES: '22=off',
      DEADPEER_WATCH: 'report',
    })
    expect(
      JSON.parse(run(['--rules', '23=off', '--watch', ...printEnvironment], { env }).stdout),
    ).toMatchObject({ DEADPEER_RULES: '23=off', DEADPEER_WATCH: '1' })
    expect(JSON.parse(run(printEnvironment).stdout)).toEqual({
      NODE_OPTIONS: `--require ${root}dist/register.js`,
    })
  })

  it('sets the profile for a path with --path, and names the option in an error about it', () => {
    const script = `const net = require('node:net')
      const server = net.createServer().listen(0, () => {
        const socket = net.connect(server.address().port, async () => {
          socket.setKeepAlive(true, 1000)
          const { inspect } = await import(${JSON.stringify(`${root}dist/index.js`)})
          console.log(JSON.stringify(inspect(socket).profile))
          process.exit()
        })
      })`
    const { stdout } = run(['--path', 'docker-desktop-mac', ...node(script)])
    expect(JSON.parse(stdout)).toMatchObject({ enable: false, userTimeout: 120_000 })
    expect(run(['--path', 'aws-nbl', ...node('')])).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^deadpeer: --path: Unknown hop 'aws-nbl'\. Did you mean aws-nlb/),
    })
    expect(run(['--path', 'docker-desktop-mac', '--profile', 'lan', ...node('')])).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(
        /^deadpeer: --profile turns keepalive on, but docker-desktop-mac of --path /,
      ),
    })
  })

  it('passes on the sockets that systemd has opened', () => {
    const script = 'exec 3</dev/null 4</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
    const probe = 'test -e /proc/self/fd/3 && ! test -e /proc/self/fd/4'
    const command = [process.execPath, program, 'run', '--', 'sh', '-c', probe]
    expect(spawnSync('sh', ['-c', script, 'sh', ...command], { env: clean }).status).toBe(0)
  })

  it('passes options after the program to the program', () => {
    const { stdout } = run(['--', process.execPath, '-p', 'process.argv.slice(1)', '--', '--watch', '-x'])
    expect(stdout).toBe("[ '--watch', '-x' ]\n")
  })

  it('passes options after the program to the program, also without --', () => {
    const command = [process.execPath, '-p', 'process.argv.slice(1)', 'x', '--watch', '--profile', 'y']
    expect(run(['--profile', 'lan', ...command]).stdout).toBe("[ 'x', '--watch', '--profile', 'y' ]\n")
  })

  it('says where to put -- if --watch would take the program as its value', () => {
    const { status, stderr } = run(['--watch', 'echo', 'started'])
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr:
        "deadpeer: --watch must be given without a value or as --watch=report, with -- before the program; got 'echo'\n",
    })
  })

  it.each([
    {
      args: ['--profile', 'cluod'],
      message: /^deadpeer: --profile must be .*lan, datacenter, cloud.*; got 'cluod'\. Did you mean cloud\?/,
    },
    { args: ['--profile', '1500ms/5s/3'], message: /^deadpeer: --profile: initialDelay .*whole seconds/ },
    { args: ['--rules', '5432'], message: /^deadpeer: --rules: A rule must be .* got '5432'/ },
    { args: ['--watch=repotr'], message: /^deadpeer: --watch must be .*--watch=report.*; got 'repotr'/ },
  ])('says in one line what is wrong with $args, and starts nothing', ({ args, message }) => {
    const { status, stdout, stderr } = run([...args, '--', 'echo', 'started'])
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(/^[^\n]*\n$/)
    expect(stderr).toMatch(message)
  })

  it('names the variable if a bad value comes from the environment', () => {
    const { status, stderr } = run(['--', 'true'], { env: { DEADPEER_RULES: '5432' } })
    expect(status).toBe(2)
    expect(stderr).toMatch(/^deadpeer: DEADPEER_RULES: A rule must be .* got '5432'/)
  })

  it.each(['bun', '/usr/local/bin/bunx', 'deno'])(
    'refuses %s, which does not read NODE_OPTIONS',
    (command) => {
      const { status, stderr } = run(['--', command, 'app.js'])
      expect(status).toBe(2)
      expect(stderr).toMatch(/^deadpeer: (bunx?|deno) does not read NODE_OPTIONS[^\n]*\n$/)
    },
  )
})

describe.each([
  { how: 'with the native core', env: {} },
  { how: 'without the native core', env: { DEADPEER_NATIVE: 'off' } },
])('deadpeer run $how', ({ env }) => {
  const isReplaced = !('DEADPEER_NATIVE' in env)

  it('passes the exit code on', () => {
    expect(run(['--', 'sh', '-c', 'exit 7'], { env })).toMatchObject({ status: 7, stderr: '' })
    expect(run(['--', 'true'], { env }).status).toBe(0)
  })

  it('ends by the signal by which the program ended', () => {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const script = `kill -${signal.slice(3)} $$`
      expect(run(['--', 'sh', '-c', script], { env })).toMatchObject({ status: null, signal })
    }
  })

  it('passes standard input and output through', () => {
    const input = 'x'.repeat(1_000_000)
    const { stdout, status } = run(['--', 'cat'], { env, input })
    expect({ status, isSame: stdout === input }).toEqual({ status: 0, isSame: true })
  })

  it('says in one line that the program is not found (127) or cannot be executed (126)', () => {
    const missing = run(['--', 'no-such-program', 'x'], { env })
    expect(missing).toMatchObject({ status: 127, stdout: '' })
    expect(missing.stderr).toBe(
      "deadpeer: 'no-such-program' cannot be started: no such file or directory (ENOENT)\n",
    )
    const folder = run(['--', '/'], { env })
    expect(folder).toMatchObject({ status: 126, stdout: '' })
    expect(folder.stderr).toBe("deadpeer: '/' cannot be started: permission denied (EACCES)\n")
  })

  it.each(['SIGTERM', 'SIGHUP', 'SIGUSR2'] as const)('passes %s on to the program, once', async (signal) => {
    const script = `
      let count = 0
      process.on('${signal}', () => {
        // A second signal would arrive before this line.
        if (++count === 1) setTimeout(() => process.exit(count), 300)
      })
      setInterval(() => {}, 1_000)
      console.log(process.pid)`
    const child = spawn(process.execPath, [program, 'run', ...node(script)], {
      env: { ...clean, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = await once(child.stdout, 'data')
    expect(Number(line) === child.pid).toBe(isReplaced)
    child.kill(signal)
    expect(await once(child, 'exit')).toEqual([1, null])
  })

  it('leaves Ctrl-C to the terminal, which sends it to the program', async () => {
    const script = `
      let count = 0
      process.on('SIGINT', () => { if (++count === 1) setTimeout(() => process.exit(40 + count), 300) })
      setInterval(() => {}, 1_000)
      console.log('press Ctrl-C')`
    const { code } = await inTerminal(['run', '--', process.execPath, '-e', script.replaceAll("'", '"')], {
      env: { ...env, NODE_OPTIONS: '' },
      answers: ['press Ctrl-C', '\x03'],
    })
    expect(code).toBe(41)
  })
})

describe('deadpeer run from a folder with a space in its name', () => {
  const folder = mkdtempSync(join(tmpdir(), 'a "folder" with spaces-'))
  const installed = join(folder, 'node_modules', 'deadpeer')
  mkdirSync(join(installed, 'build'), { recursive: true })
  for (const name of ['dist', 'package.json', 'prebuilds', 'build/Release/deadpeer.node']) {
    if (existsSync(join(root, name))) cpSync(join(root, name), join(installed, name), { recursive: true })
  }
  symlinkSync(join(root, 'node_modules/commander'), join(folder, 'node_modules/commander'))
  afterAll(() => rmSync(folder, { recursive: true }))

  it('loads deadpeer/register', () => {
    const script = `
      const { createConnection, createServer } = require('node:net')
      const server = createServer().listen(0, '127.0.0.1', () => {
        createConnection(server.address().port, '127.0.0.1').on('connect', async function () {
          const { inspect } = await import(${JSON.stringify(join(root, 'dist/index.js'))})
          console.log(JSON.stringify(inspect(this).profile))
          process.exit()
        })
      })`
    const { stdout, stderr } = run(
      ['--profile', 'lan', ...node(script)],
      { cwd: tmpdir() },
      join(installed, 'dist/cli/main.js'),
    )
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toMatchObject(profiles.lan)
  })
})

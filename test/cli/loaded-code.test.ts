import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { deadpeer, program } from '../support/deadpeer-command.js'

// The built program has a file for each command, which main.js imports only to run that command.

const folder = mkdtempSync(join(tmpdir(), 'deadpeer-loaded-'))
afterAll(() => rmSync(folder, { recursive: true }))

const root = fileURLToPath(new URL('../..', import.meta.url))
const fixture = fileURLToPath(new URL('fixtures/list-loaded-files.mjs', import.meta.url))

const dynamic = /=> require\("\.\.\/commands\/([\w-]+)\.js"\)/g
const commands = [...readFileSync(program, 'utf8').matchAll(dynamic)].map(([, name]) => name!).sort()

/** The names of the built files that a command line loads. */
async function loadedBy(args: readonly string[]): Promise<string[]> {
  const list = join(folder, args.join(' ').replaceAll(/[^\w]/g, '-'))
  await deadpeer(args, { env: { NODE_OPTIONS: `--import=${fixture}`, LOADED_FILES: list } })
  return readFileSync(list, 'utf8')
    .split('\n')
    .filter((file) => file.startsWith(join(root, 'dist')))
    .map((file) => relative(join(root, 'dist'), file))
}

describe('the command line', () => {
  it('has these commands', () => {
    expect(commands).toEqual([
      'demo',
      'doctor',
      'explain',
      'export',
      'hops',
      'http',
      'inspect',
      'ls',
      'measure',
      'plan',
      'probe',
      'run',
      'simulate',
      'tune',
      'watch',
    ])
  })

  it('groups its commands in the help, with three examples, within 80 columns', async () => {
    const { out } = await deadpeer(['--help'])
    expect(out.filter((line) => /^\S.*:$/.test(line))).toEqual([
      'Options:',
      'Look at connections:',
      'Act on connections:',
      'Plan settings:',
      'Run a program:',
      'Help:',
      'Examples:',
    ])
    expect(out.filter((line) => line.startsWith('  deadpeer '))).toHaveLength(3)
    expect(out.filter((line) => line.length > 80)).toEqual([])
  })

  it.each(['--help', '--version', 'ls --help', 'demo --help', 'http --timeout soon'])(
    'loads no command for: %s',
    async (line) => {
      const loaded = await loadedBy(line.split(' '))
      expect(loaded).toContain('cli/main.js')
      expect(loaded.filter((file) => file.startsWith('commands/'))).toEqual([])
    },
  )

  // Each ends at once: no connection has the port 1, no process that id, and no host that address. demo takes 14 s, so it does not run here.
  it.each([
    { command: 'doctor', line: 'doctor --port 1' },
    { command: 'explain', line: 'explain lan' },
    { command: 'export', line: 'export --listen 192.0.2.1:0' },
    { command: 'hops', line: 'hops' },
    { command: 'http', line: 'http http://127.0.0.1:1/' },
    { command: 'inspect', line: 'inspect 999999999:3' },
    { command: 'ls', line: 'ls --port 1' },
    { command: 'plan', line: 'plan --hop aws-nlb' },
    { command: 'probe', line: 'probe --port 1' },
    { command: 'run', line: 'run -- /nonexistent' },
    { command: 'simulate', line: 'simulate --connections 1 --probe-cost 20us --look-cost 1us' },
    { command: 'tune', line: 'tune --port 1 --profile lan' },
    { command: 'watch', line: 'watch --pid 2147483647' },
  ])('loads only $command for: $line', async ({ command, line }) => {
    const loaded = await loadedBy(line.split(' '))
    expect(loaded.filter((file) => file.startsWith('commands/'))).toEqual([`commands/${command}.js`])
  })
})

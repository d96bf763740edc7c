import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { deadpeer, program } from '../support/deadpeer-command.js'

// Bad input: one line on stderr, exit code 2, and no other effect. The valid part of each command line does nothing either: no connection has
// the port 1.

const word = fc.stringMatching(/^[a-z]{6,12}$/)
const notWhole = fc.constantFrom('-1', '0', '1.5', '1e3', '0x10', '+5', '', ' 5', '99999999999', 'ten')
const notTime = fc.constantFrom('5', '-5s', '5 s', 's', '', '1h30m', 'soon', '5S')
const bad = {
  pid: notWhole,
  port: fc.oneof(notWhole, fc.integer({ min: 65_536, max: 999_999 }).map(String)),
  state: word,
  prefix: fc.oneof(
    word,
    fc.constantFrom('10.0.0.0/33', '::1/129', '10.0.0', '300.1.1.1', 'fe80::1%lo', '1.2.3.4/x'),
  ),
  time: notTime,
  attempts: fc.oneof(notWhole, fc.constant('101')),
  count: fc.constantFrom('-1', '0', '128', '1.5', 'x', ''),
  profile: fc.oneof(
    word,
    fc.constantFrom('60s/5s', '60s/5s/x', '60/5', '60/5/3s', '1500ms/5s/3', '60s/5s/0'),
  ),
  listen: fc.oneof(
    word,
    notTime.filter((text) => text !== '5'),
    fc.constantFrom(
      '65536',
      'localhost:9733',
      ':9733',
      '::1:9733',
      '[127.0.0.1]:9733',
      '127.0.0.1:',
      '1.2.3:80',
    ),
  ),
  process: fc.constantFrom('', 'a-name-of-16-bytes', 'ä-name-of-16-by'),
  hop: fc.oneof(word, fc.constantFrom('nat=', 'nat=5', 'nat=5s@3', 'aws-nlb=1s')),
}

const commands: Record<string, Record<string, fc.Arbitrary<string>>> = {
  ls: { '--pid': bad.pid, '--port': bad.port, '--state': bad.state },
  probe: { '--pid': bad.pid, '--port': bad.port, '--attempts': bad.attempts, '--timeout': bad.time },
  tune: {
    '--pid': bad.pid,
    '--port': bad.port,
    '--profile': bad.profile,
    '--idle': bad.time,
    '--interval': bad.time,
    '--count': bad.count,
    '--user-timeout': bad.time,
  },
  doctor: { '--pid': bad.pid, '--port': bad.port, '--hop': bad.hop },
  watch: { '--pid': bad.pid, '--port': bad.port, '--every': bad.time },
  export: { '--listen': bad.listen, '--every': bad.time, '--process': bad.process },
}
const right: Record<string, string[]> = {
  ls: ['--port', '1'],
  probe: ['--port', '1'],
  tune: ['--port', '1', '--profile', 'lan'],
  doctor: ['--port', '1'],
  watch: ['--port', '1'],
  // No host has this address, so the command could not listen.
  export: ['--listen', '192.0.2.1:0'],
}

const commandLine = fc.constantFrom(...Object.keys(commands)).chain((command) =>
  fc
    .oneof(
      {
        weight: 4,
        arbitrary: fc
          .constantFrom(...Object.entries(commands[command]!))
          .chain(([flag, values]) => values.map((value) => [`${flag}=${value}`])),
      },
      { weight: 1, arbitrary: fc.constantFrom(...Object.keys(commands[command]!)).map((flag) => [flag]) },
      { weight: 1, arbitrary: word.map((flag) => [`--${flag}`]) },
      { weight: 2, arbitrary: bad.prefix.map((prefix) => [prefix]) },
      { weight: 1, arbitrary: fc.constant(['127.0.0.1', '::1']) },
    )
    // A flag without a value comes last. Before another word, it would take that word as its value.
    .map((wrong) => [command, ...right[command]!, ...wrong]),
)

describe('the command line', () => {
  it.each([
    { args: 'ls --pid abc', message: "--pid must be a whole number from 1 to 2147483647; got 'abc'" },
    { args: 'http -k', message: '<url> is missing; --help shows what this command takes' },
    {
      args: 'inspect 1:x',
      message: '<connection> must be <pid>:<fd> as ls shows it',
    },
  ])(
    'reports for `$args` the option or argument, the value and what is accepted',
    async ({ args, message }) => {
      const { code, err } = await deadpeer(args.split(' '))
      expect({ code, err }).toEqual({ code: 2, err: [expect.stringContaining(`deadpeer: ${message}`)] })
    },
  )

  it
    .runIf(existsSync('/dev/full'))
    .each(['ls', 'hops --json', 'export --listen 127.0.0.1:0', '--help', 'ls --help', '--version'])(
    'says in one line that standard output cannot be written, with exit code 2: %s',
    (args) => {
      const full = openSync('/dev/full', 'w')
      const { status, stderr } = spawnSync(process.execPath, [program, ...args.split(' ')], {
        stdio: ['ignore', full, 'pipe'],
        encoding: 'utf8',
        timeout: 30_000,
      })
      closeSync(full)
      expect(status).toBe(2)
      expect(stderr).toBe('deadpeer: cannot write to standard output: no space left on device (ENOSPC)\n')
    },
  )

  it('reports any bad input in one line, with exit code 2', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(commandLine, { minLength: 5, maxLength: 5 }), async (lines) => {
        const runs = await Promise.all(lines.map((args) => deadpeer(args)))
        runs.forEach((run, i) => {
          expect({ args: lines[i], ...run }).toMatchObject({
            code: 2,
            out: [],
            err: [expect.stringMatching(/^deadpeer: \P{Cc}+$/u)],
          })
        })
      }),
      { numRuns: 12 },
    )
  })
})

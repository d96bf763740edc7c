import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { judgeFailure, listedUnsteady } from '../unsteady.mjs'

const heading = '## Unsteady tests\n\n| test | since | why |\n| --- | --- | --- |\n'
const row = (name: string) => `| \`test/a.test.ts > ${name}\` | 2026-11-30 | the timer is late |\n`
const table = (...names: string[]) => `# Contributing\n\n${heading}${names.map(row).join('')}\n## Releasing\n`

describe('the list of unsteady tests', () => {
  it('is read from the table in CONTRIBUTING.md', () => {
    expect(listedUnsteady(table('one', 'two'))).toEqual([
      { test: 'test/a.test.ts > one', since: '2026-11-30', reason: 'the timer is late' },
      { test: 'test/a.test.ts > two', since: '2026-11-30', reason: 'the timer is late' },
    ])
  })

  it('may be empty', () => {
    expect(listedUnsteady(table())).toEqual([])
  })

  it('may be at the end of the file', () => {
    expect(listedUnsteady(`${heading}${row('last')}`)).toHaveLength(1)
  })

  it('has at most five rows', () => {
    expect(listedUnsteady(table('1', '2', '3', '4', '5'))).toHaveLength(5)
    expect(() => listedUnsteady(table('1', '2', '3', '4', '5', '6'))).toThrow(
      'at most 5 unsteady tests; it lists 6',
    )
  })

  it.each([
    { fault: 'no date', line: '| `test/a.test.ts > one` | soon | the timer is late |' },
    { fault: 'an impossible date', line: '| `test/a.test.ts > one` | 2026-13-41 | the timer is late |' },
    { fault: 'no reason', line: '| `test/a.test.ts > one` | 2026-11-30 |  |' },
    { fault: 'no test name', line: '| `test/a.test.ts` | 2026-11-30 | the timer is late |' },
  ])('rejects a row with $fault', ({ line }) => {
    expect(() => listedUnsteady(`${heading}${line}\n`)).toThrow('An unsteady test must be listed as')
  })

  it('must exist', () => {
    expect(() => listedUnsteady('# Contributing\n')).toThrow('must have a section "Unsteady tests"')
  })

  it('names only tests that exist', () => {
    for (const { test } of listedUnsteady()) {
      const [file, name] = test.split(' > ') as [string, string]
      expect(existsSync(file), file).toBe(true)
      // The name begins with that of the suite and ends with the title, which may have been filled in from a table.
      const titles = [...readFileSync(file, 'utf8').matchAll(/\bit(?:\.\w+)?.*?\(\s*'((?:[^'\\]|\\.)+)'/gs)]
      const words = titles.map(([, title]) => title!.split(/[%$]/, 1)[0]!.replaceAll('\\', ''))
      expect(
        words.some((title) => name.includes(title)),
        test,
      ).toBe(true)
    }
  })
})

describe('a test that fails in the suite', () => {
  const listed = [{ test: 'test/a.test.ts > listed' }]

  it.each([
    { name: 'listed', failedAlone: true, listedOnly: false, isFailure: true },
    { name: 'listed', failedAlone: false, listedOnly: true, isFailure: false },
    { name: 'listed', failedAlone: false, listedOnly: false, isFailure: false },
    { name: 'other', failedAlone: true, listedOnly: false, isFailure: true },
    { name: 'other', failedAlone: false, listedOnly: true, isFailure: true },
    { name: 'other', failedAlone: false, listedOnly: false, isFailure: false },
  ])(
    'fails alone too: $failedAlone, $name, in CI: $listedOnly, counts as a failure: $isFailure',
    ({ name, failedAlone, listedOnly, isFailure }) => {
      const verdict = judgeFailure(`test/a.test.ts > ${name}`, failedAlone, listed, listedOnly)
      expect(verdict.isFailure).toBe(isFailure)
      expect(verdict.label).toMatch(isFailure ? /^FAILED/ : /^UNSTEADY/)
    },
  )
})

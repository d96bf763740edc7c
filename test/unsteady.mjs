import { readFileSync } from 'node:fs'

// Tests that fail in the suite and pass when they run again alone. CONTRIBUTING.md lists the ones that are known; CI fails on any other.

const MOST = 5
const contributing = new URL('../CONTRIBUTING.md', import.meta.url)

/**
 * The tests that CONTRIBUTING.md lists as unsteady: the rows of the table under "Unsteady tests".
 * Throws where a row is malformed, or where there are more than five.
 *
 * @returns {{ test: string, since: string, reason: string }[]} a test is `file > name`, as vitest prints it
 */
export function listedUnsteady(text = readFileSync(contributing, 'utf8')) {
  const section = text.split(/^## /m).find((part) => part.startsWith('Unsteady tests\n'))
  if (section === undefined) throw new Error('CONTRIBUTING.md must have a section "Unsteady tests".')
  const lines = section.split('\n').filter((line) => line.startsWith('|'))
  // The first two lines of a table are its heading and the rule below it.
  const rows = lines.slice(2).map(readRow)
  if (rows.length > MOST)
    throw new Error(
      `CONTRIBUTING.md may list at most ${MOST} unsteady tests; it lists ${rows.length}. Fix one.`,
    )
  return rows
}

function readRow(line) {
  const row = /^\| `(.+ > .+)` \| (\d{4}-\d{2}-\d{2}) \| (.+) \|$/.exec(line)
  if (!row || Number.isNaN(Date.parse(row[2])))
    throw new Error(
      `An unsteady test must be listed as | \`file > name\` | YYYY-MM-DD | reason |; got ${line}`,
    )
  const [, test, since, reason] = row
  return { test, since, reason }
}

/**
 * What a test counts as that failed in the suite.
 *
 * @param {string} test `file > name`
 * @param {boolean} failedAlone whether it failed again when it ran alone
 * @param {boolean} listedOnly whether an unsteady test that is not listed is a failure, as in CI
 * @returns {{ isFailure: boolean, label: string }}
 */
export function judgeFailure(
  test,
  failedAlone,
  listed = listedUnsteady(),
  listedOnly = process.env.DEADPEER_TEST_UNSTEADY === 'listed',
) {
  if (failedAlone) return { isFailure: true, label: 'FAILED' }
  if (listed.some((row) => row.test === test))
    return {
      isFailure: false,
      label: 'UNSTEADY (failed in the suite, passed alone; listed in CONTRIBUTING.md)',
    }
  if (listedOnly)
    return {
      isFailure: true,
      label: 'FAILED (in the suite; passed alone, but CONTRIBUTING.md does not list it as unsteady)',
    }
  return { isFailure: false, label: 'UNSTEADY (failed in the suite, passed alone)' }
}

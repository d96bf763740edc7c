import { spawnSync } from 'node:child_process'
import { withNetAdmin } from './privileges.mjs'
import { runVitest } from './vitest.mjs'

// Runs all tests: those of the native core, then those of the package. Arguments go to vitest.
// The last line counts both: N passed, N failed, N skipped.

withNetAdmin()

const totals = { passed: 0, failed: 0, skipped: 0 }
const filters = process.argv.slice(2)

if (filters.length === 0 && process.platform === 'linux') count(runNative())
count(runVitest(filters))

const { passed, failed, skipped } = totals
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exit(failed > 0 || passed === 0 ? 1 : 0)

function count(part) {
  for (const key of Object.keys(totals)) totals[key] += part[key]
}

function runNative() {
  const { stdout, status } = spawnSync(process.execPath, ['test/native/run.mjs'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  process.stdout.write(stdout)
  const [, ok, bad, left] = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/m.exec(stdout) ?? []
  // A run that did not get to its last line is a failure, whatever it printed before.
  const broken = ok === undefined || (status !== 0 && bad === '0')
  return { passed: Number(ok ?? 0), failed: Number(bad ?? 0) + Number(broken), skipped: Number(left ?? 0) }
}

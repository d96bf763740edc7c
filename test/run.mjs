import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withNetAdmin } from './privileges.mjs'

// Runs all tests: those of the native core, then those of the package. Arguments go to vitest.
// The last line counts both: N passed, N failed, N skipped.

withNetAdmin()

const totals = { passed: 0, failed: 0, skipped: 0 }
const filters = process.argv.slice(2)

if (filters.length === 0 && process.platform === 'linux') count(runNative())
count(runVitest())

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

function runVitest() {
  const folder = mkdtempSync(join(tmpdir(), 'deadpeer-test-'))
  const report = join(folder, 'report.json')
  try {
    const { status } = spawnSync(
      process.execPath,
      [
        'node_modules/vitest/vitest.mjs',
        'run',
        '--config',
        'test/vitest.config.ts',
        '--reporter=default',
        '--reporter=json',
        `--outputFile.json=${report}`,
        ...filters,
      ],
      { stdio: 'inherit' },
    )
    const result = JSON.parse(readFileSync(report, 'utf8'))
    const broken = status !== 0 && result.numFailedTests === 0
    return {
      passed: result.numPassedTests,
      failed: result.numFailedTests + Number(broken),
      skipped: result.numPendingTests + result.numTodoTests,
    }
  } catch (error) {
    console.error(error)
    return { passed: 0, failed: 1, skipped: 0 }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

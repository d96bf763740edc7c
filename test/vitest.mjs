import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'

// Runs tests of the package, and counts them.
//
// Many of them wait for the kernel's clocks, and files run beside each other: on a busy machine one may be late through no fault of its own.
// So files with a failure are run once more, alone. What fails again is a failure; what does not is unsteady, and is named as such at the end.

/**
 * @param {string[]} filters
 * @param {Record<string, string>} [env]
 * @param {string} [node] the Node that runs them, with all that they start
 * @returns {{ passed: number, failed: number, skipped: number }}
 */
export function runVitest(filters, env = {}, node = process.execPath) {
  const first = run(filters, env, node)
  if (!first) return { passed: 0, failed: 1, skipped: 0 }
  const files = [...new Set(first.failures.map(({ file }) => file))]
  const second = files.length > 0 ? run(['--maxWorkers=1', ...files], env, node) : first
  const failedAgain = new Set((second ?? first).failures.map(nameOf))
  const failed = first.failures.filter((failure) => failedAgain.has(nameOf(failure)))
  for (const failure of first.failures) {
    const what = failed.includes(failure) ? 'FAILED' : 'UNSTEADY (failed among others, passed alone)'
    console.log(`${what} ${nameOf(failure)}: ${failure.message}`)
  }
  if (first.isBroken) console.log('FAILED outside of any test, see above')
  return {
    passed: first.passed + first.failures.length - failed.length,
    failed: failed.length + Number(first.isBroken),
    skipped: first.skipped,
  }
}

const nameOf = ({ file, name }) => `${file} > ${name}`

/** Without NODE_EXTRA_CA_CERTS: Node reads that file in a thread, and tests that count descriptors would see it open and closed. */
function run(args, env, node) {
  const folder = mkdtempSync(join(tmpdir(), 'deadpeer-test-'))
  const report = join(folder, 'report.json')
  const command = ['run', '--config', 'test/vitest.config.ts', '--reporter=default', '--reporter=json']
  try {
    const { status } = spawnSync(
      node,
      ['node_modules/vitest/vitest.mjs', ...command, `--outputFile.json=${report}`, ...args],
      { stdio: 'inherit', env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined, ...env } },
    )
    const result = JSON.parse(readFileSync(report, 'utf8'))
    const failures = result.testResults.flatMap(failuresOf)
    return {
      passed: result.numPassedTests,
      skipped: result.numPendingTests + result.numTodoTests,
      failures,
      isBroken: status !== 0 && failures.length === 0,
    }
  } catch (error) {
    console.error(error)
    return undefined
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Of one file: its tests that failed, or the file itself where it did not get to them. */
function failuresOf({ name, status, message, assertionResults }) {
  const file = relative('.', name)
  const failed = assertionResults.filter((test) => test.status === 'failed')
  if (status === 'failed' && failed.length === 0)
    return [{ file, name: '(file)', message: firstLine(message) }]
  return failed.map(({ fullName, failureMessages }) => ({
    file,
    name: fullName,
    message: firstLine(failureMessages[0] ?? ''),
  }))
}

const firstLine = (text) => text.split('\n', 1)[0].slice(0, 300)

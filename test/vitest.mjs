import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { judgeFailure } from './unsteady.mjs'

// Runs tests of the package, and counts them.
//
// Many tests wait for the kernel's timers, and files run in parallel, so a busy machine can make a test late. Files with a failure therefore run
// once more, alone. A test that fails again has failed. One that passes is unsteady: it is named at the end, and unsteady.mjs decides what it counts as.

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
  let failed = 0
  for (const failure of first.failures) {
    // Where the file itself failed, its tests did not run again.
    const failedAlone = [failure, { ...failure, name: WHOLE_FILE }].some((each) =>
      failedAgain.has(nameOf(each)),
    )
    const { isFailure, label } = judgeFailure(nameOf(failure), failedAlone)
    failed += Number(isFailure)
    console.log(`${label} ${nameOf(failure)}: ${failure.message}`)
  }
  if (first.isBroken) console.log('FAILED outside of any test, see above')
  return {
    passed: first.passed + first.failures.length - failed,
    failed: failed + Number(first.isBroken),
    skipped: first.skipped,
  }
}

const WHOLE_FILE = '(file)'

const nameOf = ({ file, name }) => `${file} > ${name}`

/** Without NODE_EXTRA_CA_CERTS: Node opens that file in a thread, which tests that count descriptors would notice. */
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

/** The failed tests of one file, or the file itself where it failed outside of its tests. */
function failuresOf({ name, status, message, assertionResults }) {
  const file = relative('.', name)
  const failed = assertionResults.filter((test) => test.status === 'failed')
  if (status === 'failed' && failed.length === 0)
    return [{ file, name: WHOLE_FILE, message: firstLine(message) }]
  return failed.map(({ fullName, failureMessages }) => ({
    file,
    name: fullName,
    message: firstLine(failureMessages[0] ?? ''),
  }))
}

const firstLine = (text) => text.split('\n', 1)[0].slice(0, 300)

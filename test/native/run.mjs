// Compiles the native core together with its tests, and runs every test in a separate process:
//   node test/native/run.mjs [--sanitizer address|thread|none] [--build-only]
// The address sanitizer includes UndefinedBehaviorSanitizer and the leak check.
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { judgeFailure } from '../unsteady.mjs'

const { values: options } = parseArgs({
  options: { sanitizer: { type: 'string', default: 'address' }, 'build-only': { type: 'boolean' } },
})
const sanitizers = {
  address: ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'],
  thread: ['-fsanitize=thread'],
  none: [],
}[options.sanitizer]
if (!sanitizers) throw new Error(`--sanitizer must be address, thread or none; got '${options.sanitizer}'`)

process.chdir(fileURLToPath(new URL('../..', import.meta.url)))

const [compiler, ...compilerArguments] = (process.env.CXX || 'c++').split(/\s+/)
const flags = [
  ...compilerArguments,
  ...'-std=c++17 -O1 -g -fno-exceptions -fno-rtti -Wall -Wextra -Werror -Inative'.split(' '),
  ...sanitizers,
]
const buildFolder = `build/native-test/${options.sanitizer}`
const program = `${buildFolder}/tests`

// The exit codes of check.h.
const skippedCode = 77
// Most tests wait for the kernel and use little CPU time.
const testsAtOnce = 4 * availableParallelism()
const patience = 60_000

function run(command, args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: patience,
      killSignal: 'SIGKILL',
    })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (text) => {
      stdout += text
    })
    child.stderr.on('data', (text) => {
      stderr += text
    })
    child.on('error', (error) => resolve({ code: null, signal: error.code, stdout, stderr: error.message }))
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
}

/** Like Promise.all of the tasks, with at most `limit` of them at a time. */
async function all(items, limit, task) {
  const results = []
  const queue = items.entries()
  const work = async () => {
    for (const [index, item] of queue) results[index] = await task(item)
  }
  await Promise.all(Array.from({ length: limit }, work))
  return results
}

async function mustRun(command, args) {
  const { code, signal, stdout, stderr } = await run(command, args)
  if (code === 0) return stdout
  throw new Error(`${command} ended with ${signal ?? code}\n${stderr}`)
}

async function compile(source) {
  const object = `${buildFolder}/${basename(source)}.o`
  await mustRun(compiler, [...flags, '-c', source, '-o', object])
  return object
}

async function build() {
  mkdirSync(buildFolder, { recursive: true })
  const sources = ['native/core', 'test/native'].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.cc'))
      .map((name) => `${folder}/${name}`),
  )
  const objects = await all(sources, availableParallelism(), compile)
  await mustRun(compiler, [...flags, ...objects, '-o', program])
}

async function runTest(name) {
  const { code, signal, stdout, stderr } = await run(program, [name], {
    ASAN_OPTIONS: 'detect_leaks=1',
    // A test may forbid itself descriptors or calls, and a report could not be symbolized after that.
    TSAN_OPTIONS: 'halt_on_error=1 second_deadlock_stack=1',
  })
  if (code === 0) return { outcome: 'passed', line: `ok ${name}` }
  if (code === skippedCode) return { outcome: 'skipped', line: `skipped ${name}: ${stdout}` }
  const why = stdout || stderr.match(/.*error.*/i)?.[0] || `ended with ${signal ?? code}`
  return { outcome: 'failed', name, why, line: `not ok ${name}: ${why}`, stderr }
}

/** A check that failed while other tests ran may depend on time. A sanitizer's report never does. */
async function runAgainAlone(result) {
  if (result.outcome !== 'failed' || result.stderr) return result
  const again = await runTest(result.name)
  if (again.outcome !== 'passed') return result
  const { isFailure, label } = judgeFailure(`test/native > ${result.name}`, false)
  return { ...(isFailure ? result : again), line: `${label} test/native > ${result.name}: ${result.why}` }
}

async function buildAndRun() {
  try {
    await build()
    const names = (await mustRun(program, [])).trim().split('\n')
    const results = await all(names, testsAtOnce, runTest)
    return await all(results, 1, runAgainAlone)
  } catch (error) {
    return [{ outcome: 'failed', line: `not ok build: ${error.message}` }]
  }
}

if (options['build-only']) {
  await build()
  process.exit()
}

const count = { passed: 0, failed: 0, skipped: 0 }
for (const { outcome, line, stderr } of await buildAndRun()) {
  count[outcome]++
  console.log(line)
  if (stderr) console.error(stderr)
}
console.log(
  `${count.passed} passed, ${count.failed} failed${count.skipped ? `, ${count.skipped} skipped` : ''}`,
)
if (count.failed > 0 || count.passed === 0) process.exitCode = 1

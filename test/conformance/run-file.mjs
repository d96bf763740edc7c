import { spawn } from 'node:child_process'

/** undici's own runner gives a test file 180 s, Node's 120 s. */
const timeLimit = 180_000
/** How much of a failing file's output is kept. */
const tailLength = 3_000

/** The process groups of the running files. */
const running = new Set()
process.on('exit', () => {
  for (const group of running) endGroup(group)
})

/**
 * Runs one test file in a separate network namespace, so that no two runs share a port and no traffic leaves the machine.
 *
 * @param {import('./suites.mjs').TestFile} file
 * @param {string} node
 * @param {Record<string, string>} settings
 * @returns {Promise<{ passed: boolean, late: boolean, outcome: string, output: string }>}
 */
export async function runFile(file, node, settings, job) {
  const child = spawn(
    'unshare',
    ['-n', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh', node, ...file.args],
    {
      cwd: file.cwd,
      // A separate process group, so that the processes that it starts end with it.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...clean(process.env),
        TEST_THREAD_ID: String(job),
        TEST_SERIAL_ID: String(job),
        ...file.env,
        ...settings,
      },
    },
  )
  running.add(child.pid)
  let output = ''
  const keep = (text) => {
    output = (output + text).slice(-tailLength)
  }
  child.stdout.setEncoding('utf8').on('data', keep)
  child.stderr.setEncoding('utf8').on('data', keep)
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    endGroup(child.pid)
  }, timeLimit)
  const [code, signal] = await new Promise((resolve, reject) => {
    child.on('exit', (...how) => resolve(how)).on('error', reject)
  })
  clearTimeout(timer)
  endGroup(child.pid)
  running.delete(child.pid)
  const outcome = isLate
    ? `not done after ${timeLimit / 1000} s`
    : signal
      ? `signal ${signal}`
      : `exit ${code}`
  return { passed: code === 0, late: isLate, outcome, output }
}

function endGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    // The whole group has already ended.
    if (error.code !== 'ESRCH') throw error
  }
}

/** Without the variables that npm, this package and Node would read. */
function clean(env) {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(npm_|DEADPEER|NODE_)/.test(name)))
}

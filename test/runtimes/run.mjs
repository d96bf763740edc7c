// Tests the runtimes that users have, each with the binary that the package ships:
//   npm run test:runtimes [-- suite | smoke] [part of a runtime's name …]
//
// suite  on the oldest and the newest Node: the tests whose result may depend on the Node version
// smoke  test/runtimes/smoke.mjs, at most 20 s, on the versions between and on Bun; and the errors on Deno
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fetchPackage } from '../../native/fetched.mjs'
import { withNetAdmin } from '../privileges.mjs'
import { runVitest } from '../vitest.mjs'

process.chdir(fileURLToPath(new URL('../..', import.meta.url)))

const patience = 20_000

/**
 * Node's sockets, agents, servers, workers and loaders, the command line, and popular clients. Left out: test/unit, which tests pure functions, and
 * test/netns, which tests what the kernel lists, counts and does in a namespace. Both are the same on every Node, and took a quarter of the time.
 */
const dependsOnNode = ['test/loopback/', 'test/cli/', 'test/http/', 'test/clients/']

const nodePackage = `node-linux-${process.arch}`
const runtimes = [
  // The oldest is the first that `engines` allows.
  { name: 'node-20', way: 'suite', from: [nodePackage, '20.19.0', 'bin/node'] },
  { name: 'node-22', way: 'smoke', from: [nodePackage, '22.23.3', 'bin/node'] },
  { name: 'node-24', way: 'smoke', from: [nodePackage, '24.21.0', 'bin/node'] },
  { name: 'bun', way: 'smoke', from: [`@oven/bun-linux-${bunArch()}`, '1.4.5', 'bin/bun'] },
  {
    name: 'deno',
    way: 'smoke',
    from: [`@deno/linux-${process.arch}-glibc`, '2.9.6', 'deno'],
    args: ['run', '--allow-all', '--node-modules-dir=manual', 'test/runtimes/without-descriptors.mjs'],
  },
  { name: 'node-26', way: 'suite', from: [nodePackage, '26.10.0', 'bin/node'] },
]

const words = process.argv.slice(2)
const ways = words.filter((word) => word === 'suite' || word === 'smoke')
const names = words.filter((word) => !ways.includes(word))
const chosen = runtimes.filter(
  ({ name, way }) =>
    (ways.length === 0 || ways.includes(way)) &&
    (names.length === 0 || names.some((part) => name.includes(part))),
)
if (chosen.length === 0)
  throw new Error(`The runtime must be one of these: ${runtimes.map(({ name }) => name).join(', ')}.`)

const programs = chosen.map(({ from: [name, version, program] }) =>
  join(fetchPackage(name, version), program),
)
// From here on there may be no network access.
withNetAdmin()

const outcomes = chosen.map((runtime, i) => {
  const started = performance.now()
  const path = programs[i]
  console.log(`# ${runtime.name}: ${runtime.way}`)
  const outcome = runtime.way === 'suite' ? suite(path) : smoke(path, runtime.args)
  const seconds = ((performance.now() - started) / 1000).toFixed(0)
  return {
    ...outcome,
    line: `# ${runtime.name} ${runtime.from[1]}, ${runtime.way}: ${outcome.words} in ${seconds} s`,
  }
})
for (const { line } of outcomes) console.log(line)
if (outcomes.some(({ isWell }) => !isWell)) process.exit(1)

function suite(path) {
  // Also for programs that are started by name.
  const env = { PATH: `${dirname(path)}:${process.env.PATH}` }
  const { passed, failed, skipped } = runVitest(dependsOnNode, env, path)
  return {
    isWell: failed === 0 && passed > 0,
    words: `${passed} passed, ${failed} failed, ${skipped} skipped`,
  }
}

function smoke(path, args = ['test/runtimes/smoke.mjs']) {
  const { status, signal, error } = spawnSync(path, args, {
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: patience,
    killSignal: 'SIGKILL',
  })
  if (status === 0) return { isWell: true, words: 'well' }
  const words =
    error?.code === 'ETIMEDOUT' ? `not done after ${patience / 1000} s` : `ended with ${signal ?? status}`
  return { isWell: false, words }
}

function bunArch() {
  return process.arch === 'arm64' ? 'aarch64' : process.arch
}

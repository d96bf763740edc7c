// Runs other projects' own tests with deadpeer and without. Both must behave the same.
//   npm run test:conformance -- [--node-source DIR] [--undici DIR] [--ws DIR] [--node PATH] [--suite net,http,…] [--json FILE] [--jobs 2] [part of a file's name …]
//
// Provide the folders yourself: the source of a Node version near that of --node, and installed clones of undici and ws.
// test/conformance/fetch-node.mjs downloads a source and its Node. Needs iproute2 and util-linux.
//
// Each file runs plain, under `register` with DEADPEER_WATCH=1, and (if it uses http) with the global agents replaced by HttpAgent and HttpsAgent. A
// file that differs runs again, alone and several times each way. A file that does not pass plain is left out.
// The last line counts: N same, N differ.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { withNetAdmin } from '../privileges.mjs'
import { runFile } from './run-file.mjs'
import { nodeSuites, nodeTests, undiciTests, wsTests } from './suites.mjs'

/** How often a file is tried before it counts as failing without deadpeer. */
const TRIES = 3
/** How often a file that differed runs again, each way; and one that did not end in time, which takes minutes. */
const RERUNS = 10
const LATE_RERUNS = 2

const { values: options, positionals: parts } = parseArgs({
  options: {
    'node-source': { type: 'string' },
    undici: { type: 'string' },
    ws: { type: 'string' },
    node: { type: 'string', default: process.execPath },
    suite: { type: 'string' },
    json: { type: 'string' },
    jobs: { type: 'string', default: '2' },
  },
  allowPositionals: true,
})
const jobs = Number(options.jobs)
if (!(Number.isInteger(jobs) && jobs > 0))
  throw new Error(`--jobs must be a whole number, 1 or greater; got '${options.jobs}'`)
const suites = options.suite?.split(',')
const files = [
  ...(options['node-source'] ? nodeTests(resolve(options['node-source']), nodeSuites) : []),
  ...(options.undici ? undiciTests(resolve(options.undici)) : []),
  ...(options.ws ? wsTests(resolve(options.ws)) : []),
]
  .filter(({ suite }) => !suites || suites.includes(suite))
  .filter(({ name }) => parts.length === 0 || parts.some((part) => name.includes(part)))
if (files.length === 0)
  throw new Error('Found no test file. Pass --node-source, --undici or --ws with a folder.')
withNetAdmin()
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

const version = execFileSync(options.node, ['--version'], { encoding: 'utf8' }).trim()
const modes = modesOf(version)
console.log(`# ${files.length} test files on Node ${version}`)
const started = performance.now()

const failing = []
const suspects = []
let compared = 0
await runAll(
  files.filter(({ runsAlone }) => !runsAlone),
  jobs,
)
await runAll(
  files.filter(({ runsAlone }) => runsAlone),
  1,
)

const differing = []
const unsteady = []
for (const suspect of suspects) {
  const { file, mode, first } = suspect
  const reruns = first.late ? LATE_RERUNS : RERUNS
  const plain = await repeat(file, {}, reruns)
  const changed = await repeat(file, modes[mode], reruns)
  // The first runs count too: the file passed plain and failed with deadpeer.
  const result = {
    suite: file.suite,
    name: file.name,
    mode,
    failed: changed.failed + 1,
    failedPlain: plain.failed,
    runs: reruns + 1,
    outcome: first.outcome,
    output: first.output,
  }
  const isUnsteady = plain.failed > 0 || changed.failed === 0
  if (isUnsteady) unsteady.push(result)
  else differing.push(result)
  const { failed, failedPlain, runs } = result
  console.log(
    `${isUnsteady ? 'UNSTEADY' : 'DIFFERS'} ${mode} ${file.name}: fails ${failed} of ${runs}, plain ${failedPlain} of ${runs}; ${first.outcome}`,
  )
}

const same = compared - differing.length
if (options.json) {
  const left = failing.map(({ suite, name }) => ({ suite, name }))
  writeFileSync(
    options.json,
    `${JSON.stringify({ version, files: files.length, same, left, unsteady, differing }, null, 2)}\n`,
  )
}
const minutes = ((performance.now() - started) / 60_000).toFixed(0)
for (const { name, outcome } of failing) console.log(`# left out, fails plain: ${name}, ${outcome}`)
console.log(
  `# ${files.length} files, ${failing.length} left out because they fail plain, ${unsteady.length} comparisons unsteady, in ${minutes} min`,
)
console.log(`${same} same, ${differing.length} differ`)
process.exit(differing.length > 0 || compared === 0 ? 1 : 0)

/** Node's arguments. Until Node 22 an `--import` loses messages that a cluster worker gets early. */
function modesOf(version) {
  const preload = Number.parseInt(version.slice(1), 10) < 22 ? '--require' : '--import'
  const path = (name) => fileURLToPath(new URL(name, import.meta.url))
  return {
    register: { NODE_OPTIONS: `${preload} ${path('../../dist/register.js')}`, DEADPEER_WATCH: '1' },
    agents: { NODE_OPTIONS: `${preload} ${path('global-agents.mjs')}` },
  }
}

async function runAll(queue, workers) {
  const next = queue.values()
  await Promise.all(
    Array.from({ length: workers }, async (_, job) => {
      for (const file of next) await compare(file, job)
    }),
  )
}

async function compare(file, job) {
  let plain
  for (let i = 0; i < TRIES; i++) {
    plain = await runFile(file, options.node, {}, job)
    // A file that hangs takes minutes, and would hang again.
    if (plain.passed || plain.late) break
  }
  if (!plain.passed) {
    failing.push({ ...file, outcome: plain.outcome })
    return
  }
  for (const [mode, settings] of Object.entries(modes)) {
    if (mode === 'agents' && !file.usesHttp) continue
    compared++
    const first = await runFile(file, options.node, settings, job)
    if (first.passed) continue
    suspects.push({ file, mode, first })
    console.log(`? ${mode} ${file.name}: ${first.outcome}`)
  }
}

async function repeat(file, settings, times) {
  let failed = 0
  for (let i = 0; i < times; i++) if (!(await runFile(file, options.node, settings, 0)).passed) failed++
  return { failed }
}

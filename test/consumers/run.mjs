// Makes a project for each way in which people build and run Node programs, with the packed package, and runs it:
//   npm run verify:consumers [-- --all | part of a name …]
// Without an argument it makes those that fit into five minutes. Each must use the native core and read back what it has set.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { matrix } from './matrix.mjs'

process.chdir(fileURLToPath(new URL('../..', import.meta.url)))

const words = process.argv.slice(2)
const chosen = matrix.filter(({ name, isShort }) =>
  words.length === 0 ? isShort : words.includes('--all') || words.some((word) => name.includes(word)),
)
if (chosen.length === 0)
  throw new Error(`The project must be one of these: ${matrix.map(({ name }) => name).join('; ')}.`)

const folder = mkdtempSync(join(tmpdir(), 'deadpeer-consumers-'))
const failures = []
let tarball
try {
  tarball = pack()
  // Projects with the same tools share an installation.
  for (const [tools, projects] of byTools(chosen)) {
    const installed = installedWith(tools)
    for (const project of projects) verify(project, installed)
    rmSync(installed, { recursive: true })
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
console.log(`# ${chosen.length - failures.length} of ${chosen.length} projects work`)
for (const { name, message } of failures) console.log(`FAILED ${name}: ${message}`)
process.exit(failures.length === 0 ? 0 : 1)

function pack() {
  const options = ['--ignore-scripts', '--json', '--loglevel=error', '--pack-destination', folder]
  const [{ filename }] = JSON.parse(execFileSync('npm', ['pack', ...options], { encoding: 'utf8' }))
  return join(folder, filename)
}

function byTools(projects) {
  const groups = new Map()
  for (const project of projects) {
    const key = [...(project.install ?? []), ...(project.tools ?? [])].join(' ')
    groups.set(key, [...(groups.get(key) ?? []), project])
  }
  return groups
}

/** @returns a folder with the package and the tools in node_modules */
function installedWith(tools) {
  const place = mkdtempSync(join(folder, 'installed-'))
  writeFileSync(join(place, 'package.json'), JSON.stringify({ private: true }))
  const options = [
    '--no-audit',
    '--no-fund',
    '--no-package-lock',
    '--loglevel=error',
    '--prefer-offline',
    '--ignore-scripts',
  ]
  run('npm', ['install', ...options, tarball, ...tools.split(' ').filter(Boolean)], place)
  return place
}

function verify({ name, steps, reason }, installed) {
  const started = performance.now()
  const project = mkdtempSync(join(folder, 'project-'))
  try {
    cpSync('test/consumers/projects', project, { recursive: true })
    for (const extension of ['mts', 'cts']) cpSync(join(project, 'app.ts'), join(project, `app.${extension}`))
    // With links: these files are many.
    execFileSync('cp', ['-al', join(installed, 'node_modules'), join(installed, 'package.json'), project])
    mkdirSync(join(project, 'out'))
    const outputs = steps.map((args) => run(process.execPath, args, project))
    const last = outputs.at(-1).match(/^\{"native".*\}$/m)?.[0]
    assert.ok(last, `printed no result: ${outputs.at(-1)}`)
    const outcome = JSON.parse(last)
    if (reason) assert.match(outcome.reason, reason)
    else assert.deepEqual(outcome, { native: true, count: 4 })
    console.log(`# ${name}: ${((performance.now() - started) / 1000).toFixed(1)} s`)
  } catch ({ message }) {
    failures.push({ name, message })
    console.log(`not ok ${name}`)
  } finally {
    rmSync(project, { recursive: true, force: true })
  }
}

/** @returns its output */
function run(program, args, cwd) {
  // Without the variables that npm sets for the scripts that it runs.
  const others = Object.entries(process.env).filter(
    ([name]) => !/^npm_(?!config_(registry|cache)$)|^NODE_OPTIONS$/.test(name),
  )
  const env = { ...Object.fromEntries(others), DEADPEER_TARBALL: tarball }
  const { status, signal, error, stdout, stderr } = spawnSync(program, args, { cwd, env, encoding: 'utf8' })
  if (status === 0) return stdout
  throw new Error(`${args.join(' ')}: ended with ${error?.message ?? signal ?? status}\n${stdout}${stderr}`)
}

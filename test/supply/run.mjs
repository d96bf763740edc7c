import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { exceptions, judgeLicences, licenceOf } from './licences.mjs'

// Checks the dependencies, every package of the lock file:
//   npm run verify:dependencies [-- --advisories required]
// Fails on a licence that is not permissive, on an install script that would run on a user's machine, and on a published advisory. Some registries do
// not answer `npm audit`. It then prints that advisories were not checked, and fails only if they are required.

const root = fileURLToPath(new URL('../..', import.meta.url))
const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
const isRequired = process.argv.join(' ').includes('--advisories required')

const packages = Object.entries(lock.packages)
  .filter(([path]) => path !== '')
  .map(([path, locked]) => {
    const file = join(root, path, 'package.json')
    // Packages for other platforms are locked and not installed.
    const installed = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
    return {
      name: installed?.name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
      version: locked.version,
      licence: installed ? licenceOf(installed) : locked.license,
      isRuntime: !locked.dev && !locked.devOptional && !locked.peer,
      hasScript: locked.hasInstallScript === true,
      isWhole: locked.integrity !== undefined,
    }
  })

const runtime = packages.filter(({ isRuntime }) => isRuntime)
console.log(`${runtime.length} packages that ship to users:`)
for (const { name, version, licence } of runtime) console.log(`  ${name}@${version}  ${licence}`)
const others = packages.filter(({ isRuntime }) => !isRuntime)
console.log(`${others.length} packages that only development uses:`)
for (const [licence, some] of byLicence(others)) {
  const names = [...new Set(some.map(({ name }) => name))]
  console.log(`  ${licence}: ${names.length > 12 ? `${names.length} packages` : names.join(', ')}`)
}
for (const { name, licence, why } of exceptions)
  console.log(`  exception: ${name.source} under ${licence}: ${why}`)

const faults = judgeLicences(packages)
for (const { name, version, isRuntime, hasScript, isWhole } of packages) {
  if (!isWhole) faults.push(`${name}@${version} is locked without a checksum`)
  if (isRuntime && hasScript) faults.push(`${name}@${version} runs a script when it is installed`)
}
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
for (const script of ['preinstall', 'install', 'postinstall']) {
  if (scripts[script]) faults.push(`this package runs a script when it is installed: ${script}`)
}

const advisories = askForAdvisories()
if (advisories.refusal) {
  console.log(`advisories: NOT CHECKED, the registry does not answer npm audit: ${advisories.refusal}`)
  if (isRequired) faults.push('advisories are required, but could not be read')
} else {
  console.log(`advisories: ${advisories.found.length} of ${packages.length} packages`)
  faults.push(...advisories.found)
}

for (const fault of faults) console.log(`FAILED ${fault}`)
console.log(`${packages.length} packages, ${faults.length} faults`)
process.exitCode = faults.length > 0 ? 1 : 0

function byLicence(list) {
  const groups = new Map()
  for (const one of list) groups.set(one.licence, [...(groups.get(one.licence) ?? []), one])
  return groups
}

/** @returns {{ found: string[], refusal?: string }} */
function askForAdvisories() {
  const { stdout, stderr } = spawnSync('npm', ['audit', '--json'], {
    cwd: root,
    encoding: 'utf8',
    timeout: 60_000,
  })
  let answer
  try {
    answer = JSON.parse(stdout)
  } catch {
    return { found: [], refusal: stderr.trim().split('\n').at(-1) ?? 'no answer' }
  }
  if (answer.vulnerabilities === undefined) {
    const { message, error, statusCode } = answer
    return { found: [], refusal: message ?? error?.summary ?? `status ${statusCode}` }
  }
  const found = Object.values(answer.vulnerabilities).map(
    ({ name, severity, range }) => `${name} ${range}: an advisory, ${severity}. Run npm audit for details`,
  )
  return { found }
}

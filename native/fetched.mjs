import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'deadpeer')

/**
 * The folder of an npm package that is too large for a development dependency, or that only one script needs. It is fetched when it is first needed,
 * in one exact version, and kept in the user's cache, which `npm ci` does not touch. Its install scripts do not run.
 *
 * @param {string} name
 * @param {string} version
 * @param {string} [integrity] of the package's archive, as in a package-lock.json. Throws if the registry served another archive.
 */
export function fetchPackage(name, version, integrity) {
  const folder = join(cache, `${name}@${version}`)
  if (!existsSync(folder)) {
    console.log(`# fetching ${name} ${version}`)
    mkdirSync(dirname(folder), { recursive: true })
    // Two scripts may fetch it at once. Each uses its own folder, and the first complete one is kept.
    const unfinished = mkdtempSync(`${folder}.`)
    const options = ['--ignore-scripts', '--no-save', '--no-package-lock', '--no-audit', '--no-fund']
    // --force also installs packages for another processor, which is emulated. The other options make this work inside `npm pack --dry-run`.
    const anyhow = ['--force', '--loglevel=error', '--no-dry-run', '--no-global']
    try {
      execFileSync('npm', ['install', ...options, ...anyhow, '--prefix', unfinished, `${name}@${version}`], {
        stdio: ['ignore', 'ignore', 'inherit'],
      })
      checkIntegrity(unfinished, name, integrity)
      moveUnlessThere(unfinished, folder)
    } finally {
      rmSync(unfinished, { recursive: true, force: true })
    }
  }
  checkIntegrity(folder, name, integrity)
  return join(folder, 'node_modules', name)
}

/** npm compares the archive with the checksum that the registry names, and notes it. Here that is compared with the one that we know. */
function checkIntegrity(folder, name, expected) {
  if (expected === undefined) return
  const { packages } = JSON.parse(readFileSync(join(folder, 'node_modules/.package-lock.json'), 'utf8'))
  const { integrity } = packages[`node_modules/${name}`]
  if (integrity !== expected)
    throw new Error(
      `${folder}: the checksum of ${name} must be ${expected}; got ${integrity}. Do not use it.`,
    )
}

function moveUnlessThere(from, to) {
  try {
    renameSync(from, to)
  } catch (error) {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
  }
}

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'deadpeer')

/**
 * The folder of an npm package that is too large to be a development dependency, or that one script alone needs. It is fetched when it is needed,
 * in one exact version, and kept in the user's cache, where `npm ci` does not reach. Its install scripts do not run.
 */
export function fetchPackage(name, version) {
  const folder = join(cache, `${name}@${version}`)
  if (!existsSync(folder)) {
    console.log(`# fetching ${name} ${version}`)
    mkdirSync(dirname(folder), { recursive: true })
    // It is there whole or not at all, also where two scripts fetch it at once.
    const unfinished = mkdtempSync(`${folder}.`)
    const options = ['--ignore-scripts', '--no-save', '--no-package-lock', '--no-audit', '--no-fund']
    // Also what is for another machine, which is to be emulated; and also in `npm pack --dry-run`.
    const anyhow = ['--force', '--loglevel=error', '--no-dry-run', '--no-global']
    try {
      execFileSync('npm', ['install', ...options, ...anyhow, '--prefix', unfinished, `${name}@${version}`], {
        stdio: ['ignore', 'ignore', 'inherit'],
      })
      moveUnlessThere(unfinished, folder)
    } finally {
      rmSync(unfinished, { recursive: true, force: true })
    }
  }
  return join(folder, 'node_modules', name)
}

function moveUnlessThere(from, to) {
  try {
    renameSync(from, to)
  } catch (error) {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
  }
}

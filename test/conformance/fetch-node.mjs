// Downloads the source of a Node version with its tests from Debian, and the same Node from npm:
//   node test/conformance/fetch-node.mjs [suite of Debian, default trixie] [major version of Node, default 20]
// Prints the arguments for run.mjs. Needs apt-get and tar. Does not change the system's apt.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fetchPackage } from '../../native/fetched.mjs'

const [suite = 'trixie', major = '20'] = process.argv.slice(2)
const cache = join(
  process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
  'deadpeer-conformance',
  `${suite}-${major}`,
)
const source = join(cache, 'source')
if (!existsSync(source)) fetchSource()

const header = readFileSync(join(source, 'src/node_version.h'), 'utf8')
const version = ['MAJOR', 'MINOR', 'PATCH']
  .map((part) => new RegExp(`#define NODE_${part}_VERSION (\\d+)`).exec(header)?.[1])
  .join('.')
const node = join(fetchPackage(`node-linux-${process.arch}`, version), 'bin/node')
console.log(`--node ${node} --node-source ${source}`)

function fetchSource() {
  const settings = aptSettings()
  const apt = (command, ...args) => [command, ['-c', settings, ...args]]
  execFileSync(...apt('apt-get', 'update', '-qq'), { stdio: ['ignore', 'ignore', 'inherit'] })
  const known = execFileSync(...apt('apt-cache', 'showsrc', 'nodejs'), { encoding: 'utf8' })
  const version = [...known.matchAll(/^Version: (.*)$/gm)].find(([, each]) =>
    each.startsWith(`${major}.`),
  )?.[1]
  if (!version) throw new Error(`Debian ${suite} has no Node ${major}.`)
  const download = ['source', '-qq', '--download-only', `nodejs=${version}`]
  spawnSync(...apt('apt-get', ...download), { cwd: cache, stdio: ['ignore', 'ignore', 'inherit'] })
  // Debian's own patches are not needed, so the mirror need not have them.
  const archive = readdirSync(cache).find((name) => /^nodejs_.*\.orig\.tar\.xz$/.test(name))
  if (!archive) throw new Error(`The source of nodejs ${version} could not be downloaded.`)
  const partial = `${source}.partial`
  rmSync(partial, { recursive: true, force: true })
  mkdirSync(partial)
  execFileSync('tar', ['-xJf', join(cache, archive), '--strip-components=1', '-C', partial])
  rmSync(join(cache, archive))
  execFileSync('mv', [partial, source])
}

/** The system's apt may have neither this suite nor any sources. So this uses separate lists and a separate cache, with the system's mirror. */
function aptSettings() {
  for (const folder of ['lists/partial', 'cache/archives/partial'])
    mkdirSync(join(cache, folder), { recursive: true })
  const sources = join(cache, 'sources.list')
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg'
  writeFileSync(sources, `deb-src [signed-by=${keys}] ${debianMirror()} ${suite} main\n`)
  const settings = join(cache, 'apt.conf')
  writeFileSync(
    settings,
    [
      ['Dir::Etc::sourcelist', sources],
      ['Dir::Etc::sourceparts', '-'],
      ['Dir::State::lists', join(cache, 'lists')],
      ['Dir::Cache', join(cache, 'cache')],
      // Otherwise apt downloads as another user, who may not write here.
      ['APT::Sandbox::User', 'root'],
    ]
      .map(([name, value]) => `${name} "${value}";\n`)
      .join(''),
  )
  return settings
}

/** The mirror of Debian in the system's own apt sources. */
function debianMirror() {
  const known = execFileSync('apt-get', ['indextargets', '--format', '$(REPO_URI)'], { encoding: 'utf8' })
  const mirror = known.split('\n').find((uri) => /\/debian\/?$/.test(uri))
  if (!mirror) throw new Error('The apt sources of this system must name a Debian mirror. Found none.')
  return mirror
}

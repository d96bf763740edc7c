import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * The kernels to run on: for each name the newest that Debian has for virtual machines, the length of its tcp_info (linux/tcp.h), and the options
 * that it does not have.
 */
export const kernels = [
  { name: '6.1', package: 'linux-image-cloud-amd64', tcpInfo: 232, lacks: 'rtoMax' },
  { name: '6.12', package: 'linux-image-6.12-cloud-amd64', tcpInfo: 248, lacks: 'rtoMax' },
]

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'deadpeer-kernels')

const output = (command, ...args) => execFileSync(command, args, { encoding: 'utf8' })

/**
 * A kernel's package, unpacked and not installed: its files, and its release. It is downloaded once, and the cached one is used until its folder is
 * removed.
 */
export function fetchKernel({ name, package: meta, ...known }) {
  const folder = join(cache, name)
  if (!existsSync(folder)) unpack(imageOf(meta), folder)
  const boot = join(folder, 'boot')
  const image = readdirSync(boot).find((file) => file.startsWith('vmlinuz-'))
  const release = image.slice('vmlinuz-'.length)
  const modules = [`lib/modules/${release}`, `usr/lib/modules/${release}`]
    .map((path) => join(folder, path))
    .find(existsSync)
  return { ...known, name, release, image: join(boot, image), modules }
}

/** The versioned package that the unversioned one depends on. */
function imageOf(meta) {
  const depends = /^Depends: *(linux-image-\S+)/m.exec(output('apt-cache', 'show', '--no-all-versions', meta))
  if (!depends) throw new Error(`apt does not know the package ${meta}. Run apt-get update.`)
  return depends[1]
}

function unpack(image, folder) {
  const partial = `${folder}.partial`
  rmSync(partial, { recursive: true, force: true })
  mkdirSync(partial, { recursive: true })
  execFileSync('apt-get', ['download', '-qq', image], {
    cwd: partial,
    stdio: ['ignore', 'inherit', 'ignore'],
  })
  const [archive] = readdirSync(partial)
  execFileSync('dpkg', ['-x', join(partial, archive), partial])
  rmSync(join(partial, archive))
  renameSync(partial, folder)
}

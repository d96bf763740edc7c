import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Whether a binary exists and was compiled from the current sources. */
export function isMadeFromThese(file) {
  return existsSync(file) && readFileSync(file).includes(`deadpeer sources ${sourcesHash()}\0`)
}

/**
 * A hash of everything that decides what a binary does: the sources, the headers of node-addon-api, and how they are compiled. binding.gyp compiles
 * it into each binary.
 */
export function sourcesHash() {
  const hash = createHash('sha256')
  const nodeAddonApi = 'node_modules/node-addon-api/package.json'
  for (const file of ['binding.gyp', 'native/prebuild.mjs', nodeAddonApi, ...sourceFiles()])
    hash.update(`${file}\0`).update(readFileSync(join(root, file)))
  return hash.digest('hex').slice(0, 16)
}

function sourceFiles() {
  return ['native/core', 'native/binding'].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => /\.(cc|h)$/.test(name))
      .sort()
      .map((name) => `${folder}/${name}`),
  )
}

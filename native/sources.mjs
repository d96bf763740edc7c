import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Of all that decides what a shipped binary is: the sources, and how they are compiled. */
export function sourcesHash() {
  const hash = createHash('sha256')
  for (const file of ['binding.gyp', 'native/prebuild.mjs', ...sourceFiles()])
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

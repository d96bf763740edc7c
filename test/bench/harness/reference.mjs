import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../reference/', import.meta.url))
const addon = `${folder}build/Release/reference.node`
const sources = ['reference.c', 'binding.gyp'].map((name) => folder + name)

let loaded

/** The C loops to compare with, compiled at first use. */
export function reference() {
  if (loaded) return loaded
  if (!isUpToDate()) build()
  loaded = createRequire(import.meta.url)(addon)
  return loaded
}

/** What a profile is in the kernel's units, in the order of the reference. */
export function kernelUnits({ enable, initialDelay, interval, count, userTimeout }) {
  return Int32Array.of(Number(enable), interval / 1000, count, userTimeout, initialDelay / 1000)
}

function isUpToDate() {
  const built = modifiedAt(addon)
  return sources.every((source) => modifiedAt(source) < built)
}

function modifiedAt(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

function build() {
  // Through npm, which knows where Node's headers are.
  const { status, error, stdout, stderr } = spawnSync(
    'npm',
    ['exec', '--', 'node-gyp', 'rebuild', '--loglevel=error', '-C', folder],
    { cwd: folder, encoding: 'utf8' },
  )
  if (status !== 0) throw new Error(`The reference does not compile.\n${stdout}${stderr}`, { cause: error })
}

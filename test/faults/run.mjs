// The native layer where the kernel refuses:
//   npm run test:faults [-- part of a verb's name …]
//
// Every system call of every verb fails in turn, once, with each of five errnos, by a shim that is preloaded into a stock Node. What is looked
// at is the package as it is built, so `npm run build:ts` comes first.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { withNetAdmin } from '../privileges.mjs'

process.chdir(fileURLToPath(new URL('../..', import.meta.url)))
withNetAdmin()

const folder = resolve('build/faults')
mkdirSync(folder, { recursive: true })
const shim = `${folder}/shim.so`
const flags = '-shared -fPIC -O1 -Wall -Wextra -Werror'.split(' ')
execFileSync(process.env.CC || 'cc', [...flags, 'test/faults/shim.c', '-o', shim], { stdio: 'inherit' })

const control = `${folder}/control`
writeFileSync(control, Buffer.alloc(4096))
const { status, signal } = spawnSync(
  process.execPath,
  ['test/faults/under-faults.mjs', ...process.argv.slice(2)],
  {
    stdio: 'inherit',
    env: { ...process.env, LD_PRELOAD: shim, DEADPEER_FAULTS: control },
  },
)
if (signal) console.log(`FAILED: ended with ${signal}`)
process.exit(status ?? 1)

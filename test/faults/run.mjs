// Tests the native layer when the system refuses:
//   npm run test:faults [-- part of a verb's name …]
//
// failing-calls   every system call of every verb fails in turn, once, with each of five errnos
// no-descriptors  every verb runs with no descriptor left
// no-memory       each allocation of the addon fails in turn
// terminated      a worker is terminated in each system call of each verb
//
// A shim is preloaded into a stock Node. The tests load dist/, so run `npm run build:ts` first.
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
const env = { ...process.env, LD_PRELOAD: shim, DEADPEER_FAULTS: control }
const verbs = process.argv.slice(2)

/** With a descriptor limit, if there is one. */
function run(program, limit) {
  console.log(`# ${program}`)
  const command = [process.execPath, `test/faults/${program}.mjs`, ...verbs]
  const limited = limit ? ['sh', '-c', `ulimit -n ${limit} && exec "$@"`, 'sh', ...command] : command
  const { status, signal } = spawnSync(limited[0], limited.slice(1), {
    stdio: 'inherit',
    env,
    timeout: 600_000,
  })
  if (signal) console.log(`not ok ${program} ended with ${signal}`)
  return status === 0
}

const results = [run('failing-calls'), run('no-descriptors', 256), run('no-memory'), run('terminated')]
if (results.includes(false)) process.exit(1)

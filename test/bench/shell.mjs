import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { atMost } from './harness/figures.mjs'
import { closeConnections } from './harness/loopback.mjs'
import { NotMeasured } from './harness/row.mjs'

const program = fileURLToPath(new URL('children/shell.mjs', import.meta.url))

/** Both ends of each are in one process, whose limit is 20,000 descriptors. */
const CONNECTIONS = 9_000

const run = promisify(execFile)

/** In a network namespace of its own, where nothing else is listed. */
async function measure(way, unit, ...flags) {
  await closeConnections()
  const inside = [process.getuid() === 0 ? '-n' : '-Urn', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh']
  try {
    await run('unshare', [...inside, 'true'])
  } catch (error) {
    throw new NotMeasured(`no network namespace to be had (${error.code ?? error.message})`)
  }
  const { stdout } = await run('unshare', [...inside, process.execPath, program, way, CONNECTIONS, ...flags])
  return { ours: JSON.parse(stdout), reference: [], unit }
}

const what = `${(2 * CONNECTIONS).toLocaleString('en')} sockets`

export const rows = [
  {
    name: `deadpeer ls, ${what}`,
    against: '',
    toReach: atMost(1_000, 'ms', 0),
    measure: () => measure('ms', 'ms'),
  },
  {
    name: `deadpeer ls, ${what}, memory`,
    against: '',
    toReach: atMost(150, 'MB', 0),
    measure: () => measure('mb', 'MB'),
  },
  {
    name: `deadpeer ls --options, ${what}`,
    against: '',
    toReach: atMost(1_000, 'ms', 0),
    measure: () => measure('ms', 'ms', '--options'),
  },
  {
    name: `deadpeer ls --options, ${what}, memory`,
    against: '',
    toReach: atMost(150, 'MB', 0),
    measure: () => measure('mb', 'MB', '--options'),
  },
  {
    name: `deadpeer watch, ${what}, CPU`,
    against: '',
    toReach: atMost(5, '% of a core', 1),
    measure: () => measure('watch', '% of a core'),
  },
]

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { atMost, atMostMore } from './harness/figures.mjs'
import { closeConnections } from './harness/loopback.mjs'
import { NotMeasured } from './harness/row.mjs'

const program = fileURLToPath(new URL('children/exporting.mjs', import.meta.url))

const CONNECTIONS = 10_000

const run = promisify(execFile)

/** In a network namespace of its own, where nothing else is listed. */
async function scrapes() {
  await closeConnections()
  const inside = [process.getuid() === 0 ? '-n' : '-Urn', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh']
  try {
    await run('unshare', [...inside, 'true'])
  } catch (error) {
    throw new NotMeasured(`no network namespace to be had (${error.code ?? error.message})`)
  }
  const { stdout } = await run('unshare', [...inside, process.execPath, program, CONNECTIONS])
  return JSON.parse(stdout)
}

let known
/** Once, for all rows that ask for it. */
function scraped() {
  known ??= scrapes()
  return known
}

const what = `deadpeer export, ${(2 * CONNECTIONS).toLocaleString('en')} sockets, a scrape`

export const rows = [
  {
    name: `${what}, longest turn of the event loop`,
    against: 'not scraped',
    // A slice is 2 ms; lists of 20,000 are made whole in between, and garbage is collected.
    toReach: atMostMore(20, 'ms', 1),
    async measure() {
      const { scraped: ours, idle: reference } = await scraped()
      return { ours, reference, unit: 'ms' }
    },
  },
  {
    name: what,
    against: '',
    toReach: atMost(1_000, 'ms', 0),
    measure: async () => ({ ours: (await scraped()).ms, reference: [], unit: 'ms' }),
  },
  {
    name: `${what}, size`,
    against: '',
    toReach: atMost(70, 'kB', 1),
    measure: async () => ({ ours: (await scraped()).kilobytes, reference: [], unit: 'kB' }),
  },
]

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { timesAtMost, timesFaster } from './harness/figures.mjs'
import { closeConnections } from './harness/loopback.mjs'
import { reference } from './harness/reference.mjs'
import { NotMeasured } from './harness/row.mjs'

const program = fileURLToPath(new URL('children/listing-sockets.mjs', import.meta.url))

const CONNECTIONS = 10_000

const run = promisify(execFile)

/** In a network namespace of its own, where nothing else is listed. */
async function measure(way) {
  await closeConnections()
  reference()
  const unshare = process.getuid() === 0 ? '-n' : '-Urn'
  const inside = [unshare, 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh']
  try {
    await run('unshare', [...inside, 'ss', '-V'])
  } catch (error) {
    throw new NotMeasured(`no network namespace, or no ss, to be had (${error.code ?? error.message})`)
  }
  const { stdout } = await run('unshare', [...inside, process.execPath, program, way, CONNECTIONS])
  return { ...JSON.parse(stdout), unit: 'ms' }
}

const what = `listSockets, ${(2 * CONNECTIONS).toLocaleString('en')} sockets, with tcp_info`

export const rows = [
  {
    name: what,
    against: 'netlink dump in C',
    toReach: timesAtMost(1.5),
    measure: () => measure('time'),
  },
  {
    name: `${what}, CPU`,
    against: 'ss -tinO',
    toReach: timesFaster(2),
    measure: () => measure('cpu'),
  },
]

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { none } from './harness/figures.mjs'
import { closeConnections } from './harness/loopback.mjs'

const program = fileURLToPath(new URL('children/idle-connections.mjs', import.meta.url))

const CONNECTIONS = 4_000

/** Each side takes about 15 s; one that hangs is no figure. */
const TOO_LONG_MS = 60_000

/** In a process of its own, whose connections nothing else in this one can disturb. */
async function killedBy(way) {
  const { stdout } = await promisify(execFile)(process.execPath, [program, way, CONNECTIONS], {
    timeout: TOO_LONG_MS,
  })
  return Number(stdout)
}

export const rows = [
  {
    name: `tuneAll, ${CONNECTIONS.toLocaleString('en')} healthy connections, idle for longer than initialDelay and userTimeout`,
    against: 'setsockopt × 5 in C, without a rate limit',
    toReach: none('killed'),
    async measure() {
      // Those of other rows would send probes of their own meanwhile.
      await closeConnections()
      // One after the other: probes that the reference loses would take ours with them.
      const ours = await killedBy('tuneAll')
      const reference = await killedBy('loopInC')
      return {
        ours: [ours],
        reference: [reference],
        unit: 'killed',
        notShown: reference === 0 && 'the reference killed none either',
      }
    },
  },
]

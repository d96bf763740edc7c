import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { atMostMore } from './harness/figures.mjs'

const PAIRS = 12
const CONNECTIONS = 2_000
const root = fileURLToPath(new URL('../..', import.meta.url))
const program = fileURLToPath(new URL('children/opening-sockets.mjs', import.meta.url))

/** CPU time of one connection, both ends of it, in µs. */
async function timeWith(env, ...flags) {
  const options = { cwd: root, env: { ...process.env, ...env } }
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, program, CONNECTIONS], options)
  return Number(stdout)
}

function rowOf(what, env) {
  return {
    name: `deadpeer/register${what}, opening, accepting and closing a connection`,
    against: 'without it',
    toReach: atMostMore(40, 'µs', 1),
    async measure() {
      const samples = { ours: [], reference: [] }
      const sides = [
        () => timeWith(env, '--import', 'deadpeer/register').then((time) => samples.ours.push(time)),
        () => timeWith(env).then((time) => samples.reference.push(time)),
      ]
      for (let pair = 0; pair < PAIRS; pair++) {
        for (const side of sides) await side()
        sides.reverse()
      }
      return { ...samples, unit: 'µs' }
    },
  }
}

export const rows = [rowOf('', {}), rowOf(', DEADPEER_WATCH=1', { DEADPEER_WATCH: '1' })]

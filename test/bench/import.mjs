import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { atMostMore } from './harness/figures.mjs'

const PAIRS = 40
const program = fileURLToPath(new URL('children/timed-import.mjs', import.meta.url))
const empty = new URL('children/empty.mjs', import.meta.url).href

/** In a process of its own, since a module is loaded once. */
async function importTime(specifier) {
  const { NODE_COMPILE_CACHE: _, ...env } = process.env
  const { stdout } = await promisify(execFile)(process.execPath, [program, specifier], { env })
  return Number(stdout)
}

export const rows = [
  {
    name: "import 'deadpeer'",
    against: 'an empty module',
    toReach: atMostMore(8, 'ms', 1),
    async measure() {
      const samples = { ours: [], reference: [] }
      const sides = [
        [samples.ours, 'deadpeer'],
        [samples.reference, empty],
      ]
      for (let pair = 0; pair < PAIRS; pair++) {
        for (const [times, specifier] of sides) times.push(await importTime(specifier))
        sides.reverse()
      }
      return { ...samples, unit: 'ms' }
    },
  },
]

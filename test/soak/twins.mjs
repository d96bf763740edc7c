import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

// node test/soak/twins.mjs [--minutes 10] [--pairs 400] [--seed n]
//
// Tuning, probing and watching never harm, on real sockets: connections that are tuned, probed and watched at random, each beside a twin that only
// gets the same final options by setsockopt. Both go over the same path, which fails at random. No connection may end before its twin, nor
// later than one heartbeat and the slack of the kernel's timers, unless `inspect` showed values as pending. Exits with 1 at any fault.
//
// After an outage both are heard by an acknowledgement. With --peer-data the peer says something instead, which need not reset the kernel's count
// of unanswered probes: then a connection may differ from its twin by the probes that were counted before, and a fault has to be looked into.

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    pairs: { type: 'string', default: '400' },
    'peer-data': { type: 'boolean', default: false },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
  },
})
const [minutes, pairs, seed] = [values.minutes, values.pairs, values.seed].map(Number)
if (!(minutes > 0 && pairs >= 1 && Number.isInteger(pairs) && Number.isInteger(seed)))
  throw new Error('--minutes must be above 0, --pairs and --seed whole numbers.')

console.log(`seed ${seed}, ${pairs} pairs, ${minutes} min`)
const script = fileURLToPath(new URL('twins/play.mjs', import.meta.url))
// Three network namespaces are made from inside this one, and descriptors of another process are duplicated there.
const namespace = process.getuid() === 0 ? ['-n'] : ['-Urn']
const { status, signal, error } = spawnSync(
  'unshare',
  [
    ...namespace,
    process.execPath,
    script,
    JSON.stringify({ minutes, pairs, seed, peerData: values['peer-data'] }),
  ],
  { stdio: 'inherit' },
)
if (error) throw error
if (signal) console.error(`ended with ${signal}`)
process.exitCode = status ?? 1

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

// node test/soak/broadcast.mjs [--seconds 60] [--connections 9000]
//
// Connections with `heartbeat: { every: 5000 }` that all receive a broadcast every 7 s, half of them tuned `cloud`. A broadcast realigns the
// kernel's keepalive timers, so that thousands of probes could leave in one tick and overflow the receive backlog: healthy peers would look
// dead. Runs once without a `suspect` listener and once with one. Exits with 1 at a false suspicion, a death, or a burst above the backlog.

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    connections: { type: 'string', default: '9000' },
  },
})
const [seconds, connections] = [values.seconds, values.connections].map(Number)
if (!(seconds > 0 && connections >= 2)) throw new Error('--seconds must be above 0, --connections 2 or more.')

/** What one processor queues between two turns of its receive softirq: the most that one tick may send. */
const backlog = Number(readFileSync('/proc/sys/net/core/netdev_max_backlog', 'utf8'))

const script = fileURLToPath(new URL('broadcast/play.mjs', import.meta.url))
const namespace = process.getuid() === 0 ? '-n' : '-Urn'
for (const listensToSuspect of [false, true]) {
  const options = JSON.stringify({ seconds, connections, listensToSuspect })
  const { status, error, stdout } = spawnSync(
    'unshare',
    [namespace, 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh', process.execPath, script, options],
    { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' },
  )
  if (status !== 0) throw error ?? new Error(`the run ended with ${status}`)
  judge(listensToSuspect, JSON.parse(stdout))
}

function judge(listensToSuspect, { probes, burst, unresolved, suspect, dead, broadcasts, heard, dropped }) {
  console.log(
    `\n${connections} connections, ${seconds} s, ${listensToSuspect ? 'with' : 'without'} a 'suspect' listener`,
  )
  console.log(
    `${broadcasts} broadcasts, ${heard} messages, ${probes} probes; dropped by the receive backlog: ${dropped}`,
  )
  const checks = [
    { name: 'every broadcast was heard by all', holds: heard === broadcasts * connections, figure: heard },
    { name: 'probes were sent', holds: probes > 0, figure: probes },
    { name: 'no false suspicion', holds: suspect === 0, figure: suspect },
    { name: 'no false death', holds: dead === 0, figure: dead },
    { name: `no burst above ${backlog} probes in 10 ms`, holds: burst <= backlog, figure: burst },
    // A span of more than 10 ms with more probes may hide such a burst.
    {
      name: 'bursts were timed',
      holds: unresolved <= backlog,
      figure: `${unresolved} while the counter was late`,
    },
  ]
  for (const { name, holds, figure } of checks) {
    console.log(`${holds ? 'ok' : 'FAILED'} ${name}: ${figure}`)
    if (!holds) process.exitCode = 1
  }
}

import { fork } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { readCounters } from '../../../dist/host/index.js'
import { sampleTcpInfo, tune, watch } from '../../../dist/index.js'

// To be run in a network namespace of its own. Accepts connections and measures what this process takes, first without a watcher and then with
// a heartbeat on all of them, for `seconds` each. Prints both, and where probes went, as JSON.

const options = JSON.parse(process.argv[2])
const { connections, profile, every, seconds } = options
/** Over how many ms the idle connections are heard for the last time. */
const spread = 2 * every

const sockets = []
const server = net.createServer((socket) => {
  sockets.push(socket.on('error', () => {}).on('data', () => {}))
})
server.listen({ port: 0, host: '127.0.0.1', backlog: 1_024 })
await once(server, 'listening')
if (profile !== undefined) tune(server, profile)
const script = new URL('peers.mjs', import.meta.url)
const peers = fork(script, [JSON.stringify({ ...options, spread, port: server.address().port })])
await once(peers, 'message')
while (sockets.length < connections) await delay(10)
peers.send('talk')
// Until those that are busy have been heard, and the others have been idle for two heartbeats.
await delay(spread + 2 * every)

// The same is read in both, so that neither has to pay for it alone.
const unwatched = await observe(() => probesSent())
let watcher
// By then each has been probed, or sampled, twice.
const first = await observe(
  () => {
    watcher ??= watch({ heartbeat: { every } }).add(sockets)
  },
  (2 * every) / 1_000,
)
const before = snapshot()
const heardBefore = sample('dataSegsIn')
const sentBy = []
const watched = await observe(() => sentBy.push([probesSent(), performance.now()]))
const after = snapshot()
const probes = after.sent - before.sent
const heard = sample('dataSegsIn').map((segments, i) => segments - heardBefore[i])
const ended = sockets.filter(({ destroyed }) => destroyed).length
if (ended > 0)
  throw new Error(`${ended} of the connections have ended: the figures are not those of ${connections}.`)
// A connection that receives nothing sends nothing but probes.
const toIdle = after.segments.reduce(
  (sum, sent, i) => sum + (heard[i] > 0 ? 0 : sent - before.segments[i]),
  0,
)
// By the time that has really passed: this process may have to wait for a processor.
const perSecond = sentBy
  .slice(1)
  .map(([sent, at], i) => Math.round(((sent - sentBy[i][0]) * 1_000) / (at - sentBy[i][1])))
const idle = heard.filter((segments) => segments === 0).length
console.log(
  JSON.stringify({ unwatched, first, watched, idle, probes, toIdle, perSecond, dead: watcher.stats().dead }),
)
watcher.close()
peers.disconnect()
process.exit()

async function observe(each, duration = seconds) {
  const loop = monitorEventLoopDelay({ resolution: 1 })
  const start = process.cpuUsage()
  const from = performance.now()
  loop.enable()
  for (let second = 0; second < duration; second++) {
    each(second)
    await delay(Math.max(0, from + (second + 1) * 1_000 - performance.now()))
  }
  loop.disable()
  const { user, system } = process.cpuUsage(start)
  const took = performance.now() - from
  return { cpu: (user + system) / 10 / took, p99: loop.percentile(99) / 1e6 }
}

function probesSent() {
  return readCounters().TcpExt.TCPKeepAlive
}

/** The kernel sends hundreds in one tick: none of them is to be in one figure and not in the other. */
function snapshot() {
  for (;;) {
    const [sent, segments] = [probesSent(), sample('segsOut')]
    if (probesSent() === sent) return { sent, segments }
  }
}

function sample(field) {
  return sampleTcpInfo(sockets, [field], new Float64Array(sockets.length))
}

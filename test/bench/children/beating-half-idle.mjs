import { fork } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { readCounters } from '../../../dist/host/index.js'
import { sampleTcpInfo, watch } from '../../../dist/index.js'

// To be run in a network namespace of its own. Accepts so many connections, every second of which is heard all the time, and for so many
// seconds each lets them be and has a heartbeat for all. Prints, as JSON, what either took, and where probes went.

const [, , count, every, seconds] = process.argv.map(Number)

const sockets = []
const server = net.createServer((socket) => {
  sockets.push(socket.on('error', () => {}).on('data', () => {}))
})
server.listen({ port: 0, host: '127.0.0.1', backlog: 1_024 })
await once(server, 'listening')
const script = new URL('heard-peers.mjs', import.meta.url)
const peers = fork(script, [server.address().port, count, every / 2])
await once(peers, 'message')
while (sockets.length < count) await delay(10)
peers.send('talk')
// All have been heard, or have not, for as long as it takes.
await delay(2 * every)

// The same is read in both, so that neither has to pay for it alone.
const unwatched = await observe(() => probesSent())
let watcher
// Each has been asked, or looked at, twice by then.
const first = await observe(
  () => {
    watcher ??= watch({ heartbeat: { every } }).add(sockets)
  },
  (2 * every) / 1_000,
)
const before = snapshot()
const sentBy = []
const watched = await observe(() => sentBy.push([probesSent(), performance.now()]))
const after = snapshot()
const probes = after.sent - before.sent
const heard = sample('dataSegsIn')
// Who is not written to sends nothing but probes.
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

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { sampleTcpInfo, tune, watch } from '../../../dist/index.js'

// One run, in a network namespace of its own, where nothing else sends probes. Prints what was counted, as JSON.

const options = JSON.parse(process.argv[2])
const { seconds, connections, listensToSuspect } = options

const EVERY = 5_000
/** A probe is acknowledged within a millisecond here: one that two samples so far apart find unacknowledged was lost. In ms. */
const SAMPLE_EVERY = 250

let heard = 0
const sockets = []
const ports = []
for (const profile of [undefined, 'cloud']) {
  const server = net.createServer((socket) => {
    sockets.push(socket.on('error', () => {}))
    socket.on('data', ({ length }) => {
      heard += length
    })
  })
  if (profile) tune(server, profile)
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1_024 })
  await once(server, 'listening')
  ports.push(server.address().port)
}
const peers = fork(new URL('peers.mjs', import.meta.url), [JSON.stringify({ ports, connections })])
await once(peers, 'message')
while (sockets.length < connections) await delay(10)

const watcher = watch({ heartbeat: { every: EVERY }, onDead: 'report' })
let suspect = 0
watcher.on('dead', ({ socket }) => watcher.add(socket))
if (listensToSuspect) watcher.on('suspect', () => suspect++)
watcher.add(sockets)
// Until the kernel, or the watcher, has probed each some times.
await delay(3 * EVERY)

const counter = fork(new URL('counter.mjs', import.meta.url))
await once(counter, 'message')
const dropped = segmentsDropped()
heard = 0
const unacknowledged = new Float64Array(sockets.length)
const timer = setInterval(() => {
  const probes = sampleTcpInfo(sockets, ['probes'])
  for (let i = 0; i < sockets.length; i++) {
    // With a listener the watcher tells. Counted once for each loss.
    if (probes[i] > 0 && unacknowledged[i] === 1 && !listensToSuspect) suspect++
    unacknowledged[i] = probes[i] > 0 ? unacknowledged[i] + 1 : 0
  }
}, SAMPLE_EVERY)
peers.send({ seconds })
const [broadcasts] = await once(peers, 'message')
clearInterval(timer)
counter.send('enough')
const [{ probes, burst, unresolved }] = await once(counter, 'message')
console.log(
  JSON.stringify({
    probes,
    burst,
    unresolved,
    suspect,
    dead: watcher.stats().dead,
    broadcasts,
    heard,
    dropped: segmentsDropped() - dropped,
  }),
)
peers.disconnect()
counter.disconnect()
process.exit()

/** By all processors of this machine, since too many segments waited. */
function segmentsDropped() {
  const lines = readFileSync('/proc/net/softnet_stat', 'utf8').trimEnd().split('\n')
  return lines.reduce((sum, line) => sum + Number.parseInt(line.split(' ')[1], 16), 0)
}

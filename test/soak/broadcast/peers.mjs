import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

// The far side: opens the connections, to each port in turn, and then broadcasts every 7 s. Sends how often, once all has been heard.

const { ports, connections } = JSON.parse(process.argv[2])
const EVERY = 7_000

const peers = []
while (peers.length < connections) {
  const some = Array.from({ length: Math.min(200, connections - peers.length) }, (_, i) =>
    net.connect(ports[i % ports.length], '127.0.0.1'),
  )
  await Promise.all(some.map((peer) => once(peer, 'connect')))
  peers.push(...some)
}
for (const peer of peers) peer.on('error', () => {}).resume()
process.once('disconnect', () => process.exit())
process.once('message', async ({ seconds }) => {
  const end = performance.now() + 1_000 * seconds
  let broadcasts = 0
  for (let next = performance.now(); next < end; next += EVERY) {
    await delay(Math.max(0, next - performance.now()))
    for (const peer of peers) peer.write('.')
    broadcasts++
  }
  await delay(Math.max(EVERY / 2, end - performance.now()))
  process.send(broadcasts)
})
process.send('ready')

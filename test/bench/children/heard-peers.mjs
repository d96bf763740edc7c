import { once } from 'node:events'
import net from 'node:net'

// The far side of so many connections: every second of them is heard each `talk` ms, spread evenly; the others are silent, and the
// kernel answers for them. Says 'ready' when all are open, and talks from the first message on.

const [, , port, count, talk] = process.argv.map(Number)

const peers = []
while (peers.length < count) {
  const some = Array.from({ length: Math.min(200, count - peers.length) }, () =>
    net.connect(port, '127.0.0.1'),
  )
  await Promise.all(some.map((peer) => once(peer, 'connect')))
  peers.push(...some)
}
for (const peer of peers) peer.on('error', () => {}).resume()
process.once('disconnect', () => process.exit())
process.once('message', () => {
  const busy = peers.filter((_, i) => i % 2 === 1)
  const start = performance.now()
  let sent = 0
  setInterval(() => {
    const due = ((performance.now() - start) / talk) * busy.length
    for (; sent < due; sent++) busy[sent % busy.length].write('.')
  }, 5)
})
process.send('ready')

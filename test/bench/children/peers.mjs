import { once } from 'node:events'
import net from 'node:net'

// The far side of many connections. `busyShare` of them write a byte each `talkEvery` ms, spread evenly over that time; the others are idle,
// and the kernel acknowledges their probes. Sends 'ready' once all are open, and begins to write at the first message. The idle ones write a
// single byte, spread over `spread` ms: otherwise the keepalive timers of all, which were opened together, would fire in one tick, and
// loopback drops what exceeds its backlog.

const { port, connections, busyShare, talkEvery, spread } = JSON.parse(process.argv[2])

const peers = []
while (peers.length < connections) {
  const some = Array.from({ length: Math.min(200, connections - peers.length) }, () =>
    net.connect(port, '127.0.0.1'),
  )
  await Promise.all(some.map((peer) => once(peer, 'connect')))
  peers.push(...some)
}
for (const peer of peers) peer.on('error', () => {}).resume()
process.once('disconnect', () => process.exit())
process.once('message', () => {
  const numberOfBusy = Math.round(busyShare * connections)
  const [busy, idle] = [peers.slice(0, numberOfBusy), peers.slice(numberOfBusy)]
  const start = performance.now()
  let begun = 0
  const beginning = setInterval(() => {
    const due = Math.min(1, (performance.now() - start) / spread) * idle.length
    for (; begun < due; begun++) idle[begun].write('.')
    if (begun === idle.length) clearInterval(beginning)
  }, 5)
  if (busy.length === 0) return
  let sent = 0
  setInterval(() => {
    const due = ((performance.now() - start) / talkEvery) * busy.length
    for (; sent < due; sent++) busy[sent % busy.length].write('.')
  }, 5)
})
process.send('ready')

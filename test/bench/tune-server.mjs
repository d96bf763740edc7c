import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { fileURLToPath } from 'node:url'
import { atMostMore } from './harness/figures.mjs'
import { countSystemCalls } from './harness/strace.mjs'

const program = fileURLToPath(new URL('children/accepting-server.mjs', import.meta.url))

/** Whatever acts on a socket. How often threads wait, wake each other and ask for memory is up to chance. */
const TRACE = '%network,close,fcntl,ioctl,epoll_ctl'

const CONNECTIONS = 300

/** What starting, listening and ending take is the same whatever the number of connections. */
async function callsPerConnection(mode) {
  const one = await callsFor(1, mode)
  const many = await callsFor(1 + CONNECTIONS, mode)
  return (many - one) / CONNECTIONS
}

function callsFor(connections, mode) {
  return countSystemCalls(TRACE, [program, mode, connections], async (lines) => {
    const port = await lines.next()
    for (let i = 0; i < connections && !port.done; i++) await connectUntilClosed(Number(port.value))
    const keepalive = await lines.next()
    if (!keepalive.done) assert.equal(keepalive.value, String(mode === 'tuned'))
  })
}

async function connectUntilClosed(port) {
  const socket = net.connect(port, '127.0.0.1').resume()
  await once(socket, 'close')
}

export const rows = [
  {
    name: 'tune of a server, system calls per accepted connection',
    against: 'not tuned',
    toReach: atMostMore(0, 'calls', 2),
    async measure() {
      const reference = await callsPerConnection('untuned')
      const ours = await callsPerConnection('tuned')
      return { ours: [ours], reference: [reference], unit: 'calls' }
    },
  },
]

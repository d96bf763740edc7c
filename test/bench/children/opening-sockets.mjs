import { once } from 'node:events'
import net from 'node:net'

// node opening-sockets.mjs <count>: opens and closes as many connections, one after the other. Prints the CPU time that one takes, in µs, at
// both of its ends, which are in this process.

const count = Number(process.argv[2])
const server = net.createServer((peer) => peer.on('error', () => {}).resume()).listen(0, '127.0.0.1')
await once(server, 'listening')
const { port } = server.address()

async function open(number) {
  for (let i = 0; i < number; i++) {
    const socket = net.connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.destroy()
    await once(socket, 'close')
  }
}

await open(500)
const start = process.cpuUsage()
await open(count)
const { user, system } = process.cpuUsage(start)
console.log((user + system) / count)
process.exit()

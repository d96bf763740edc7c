import net from 'node:net'
import { inspect, tune } from '../../../dist/index.js'

// A server that accepts so many connections, closes each at once, and ends. Prints its port, and then whether the
// first of them had keepalive.

const [, , mode, wanted] = process.argv
let accepted = 0

const server = net.createServer((socket) => {
  accepted++
  if (accepted === 1) console.log(inspect(socket).profile.enable)
  if (accepted === Number(wanted)) server.close()
  socket.end()
})
if (mode === 'tuned') tune(server, 'cloud')
server.listen(0, '127.0.0.1', () => console.log(server.address().port))

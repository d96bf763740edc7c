import http from 'node:http'

// A server that closes a connection which has been idle for 300 ms, and says so to nobody.

const IDLE_MS = 300

const server = http.createServer((request, response) => {
  const { socket } = request
  clearTimeout(socket.idle)
  response.end('ok', () => {
    socket.idle = setTimeout(() => socket.destroy(), IDLE_MS)
  })
})
server.keepAliveTimeout = 0
server.on('connection', (socket) => socket.on('error', () => {}))
server.listen(0, '127.0.0.1', () => process.send(server.address().port))

// Runs in another Node. Prints whether the addon loads there, and the options that the kernel has after `tune`. Nothing here needs TCP_INFO,
// SO_COOKIE or sock_diag: an emulated machine does not have them.
import net from 'node:net'
import { capabilities, tune } from '../../dist/index.js'
import { getKeepAliveInterval, getKeepAliveProbes, getUserTimeout } from '../../dist/net-keepalive.js'

const server = net.createServer().listen(0, '127.0.0.1', () => {
  const socket = net.connect(server.address().port, '127.0.0.1', () => {
    tune(socket, { initialDelay: 7_000, interval: 3_000, count: 4, userTimeout: 19_000 })
    const { native, reason } = capabilities()
    const options = {
      interval: getKeepAliveInterval(socket),
      count: getKeepAliveProbes(socket),
      userTimeout: getUserTimeout(socket),
    }
    console.log(JSON.stringify({ arch: process.arch, version: process.version, native, reason, options }))
    socket.destroy()
    server.close()
  })
})
server.on('connection', (peer) => peer.on('error', () => {}))

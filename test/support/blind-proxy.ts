import net from 'node:net'

/**
 * A proxy that does not know keep-alive, as in the 1990s. It forwards the first request of a connection with all of its headers, and the response
 * until the origin closes. It never forwards a second request.
 */
export function blindProxy(origin: number): net.Server {
  return net.createServer((client) => {
    const upstream = net.connect(origin, '127.0.0.1')
    let head = ''
    for (const socket of [client, upstream]) socket.on('error', () => {})
    client.on('data', (chunk) => {
      if (head.includes('\r\n\r\n')) return
      head += chunk
      if (head.includes('\r\n\r\n')) upstream.write(head)
    })
    upstream.pipe(client)
    client.on('close', () => upstream.destroy())
  })
}

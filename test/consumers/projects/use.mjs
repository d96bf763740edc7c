import { once } from 'node:events'
import net from 'node:net'

/** Tunes a connection and reads the profile back. Prints whether the native core did it. */
export async function use({ capabilities, inspect, tune }) {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection')
  const socket = net.connect(server.address().port, '127.0.0.1')
  const [peer] = await accepted
  const { native, reason } = capabilities()
  tune(socket, { initialDelay: 7_000, interval: 3_000, count: 4 }, { bestEffort: true })
  const { profile } = inspect(socket)
  for (const each of [socket, peer]) each.destroy()
  server.close()
  return { native, reason, count: profile.count }
}

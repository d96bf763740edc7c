import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** Uses the package as a user does, however it was loaded, and returns the results. */
export async function use({ capabilities, inspect, probe, tune, watch }, { blackHole }) {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection')
  const socket = net.connect(server.address().port, '127.0.0.1')
  const [peer] = await accepted
  const failed = new Promise((resolve) => socket.on('error', resolve))

  tune(socket, { initialDelay: 2_000, interval: 1_000, count: 1 })
  const tuned = inspect(socket).profile.initialDelay
  // A connection that was heard within the last second is not probed.
  await delay(1_100)
  const { evidence } = await probe(socket)
  const watcher = watch().add(socket)
  blackHole(peer)
  const [{ reason }] = await once(watcher, 'dead')
  const { code } = await failed

  peer.destroy()
  server.close()
  const binary = /\S+\/deadpeer\S*\.node$/m.exec(readFileSync('/proc/self/maps', 'utf8'))?.[0]
  return { missing: capabilities().reason, binary, tuned, evidence, reason, code }
}

import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { inspect, tune } from '../../src/index.js'
import { descriptorOf } from '../../src/socket/target.js'
import { connectPair } from './connections.js'

it('a pending value does not reach another socket that got the descriptor', async () => {
  const { socket } = await connectPair()
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  await delay(3_000)
  tune(socket, { initialDelay: 1_000, interval: 1_000, count: 3, userTimeout: 2_500 })
  expect(inspect(socket).pending).toEqual({ userTimeout: 2_500 })
  const fd = descriptorOf(socket)
  socket.destroy()
  await once(socket, 'close')
  // The kernel gives the lowest number that is free, so a few sockets more will have it.
  const others: net.Socket[] = []
  server.on('connection', (peer) => others.push(peer))
  while (!others.some((other) => descriptorOf(other) === fd)) {
    expect(others.length, `${fd}: ${others.map(descriptorOf)}`).toBeLessThan(100)
    const other = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1')
    await once(other, 'connect')
    others.push(other)
  }
  const heir = others.find((other) => descriptorOf(other) === fd)!
  expect(inspect(heir).pending).toBeUndefined()
  await delay(100)
  expect(inspect(heir).profile.userTimeout).toBe(0)
  for (const other of others) other.destroy()
  server.close()
})

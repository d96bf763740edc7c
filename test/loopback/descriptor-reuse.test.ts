import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { inspect, probe, tune } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { connectPair } from '../support/connections.js'
import { descriptorOf } from '../support/descriptors.js'
import { idlePair, kernelOptions } from '../support/idle-connections.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { until } from '../support/until.js'

it('never writes a pending value to another socket that got the descriptor', async () => {
  const { socket } = await connectPair()
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  await delay(3_000)
  tune(socket, { initialDelay: 1_000, interval: 1_000, count: 3, userTimeout: 2_500 })
  expect(inspect(socket).pending).toEqual({ userTimeout: 2_500 })
  const fd = descriptorOf(socket)
  socket.destroy()
  await once(socket, 'close')
  const { heir, others } = await openUntil(server, fd)
  expect(inspect(heir).pending).toBeUndefined()
  await delay(100)
  expect(inspect(heir).profile.userTimeout).toBe(0)
  for (const other of others) other.destroy()
  server.close()
})

it.runIf(hasNetAdmin)(
  'ends the probe of a descriptor as closed once its number belongs to another socket',
  async () => {
    const { socket, peer } = await idlePair()
    const server = net.createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    blackHole(peer)
    const fd = descriptorOf(socket)
    const asked = probe(fd, { attempts: 100 })
    const before = kernelOptions(socket)
    await until(() => JSON.stringify(kernelOptions(socket)) !== JSON.stringify(before))
    socket.destroy()
    await once(socket, 'close')
    const { heir, others } = await openUntil(server, fd)
    expect(await asked).toMatchObject({ alive: false, evidence: 'closed' })
    expect(kernelOptions(heir)).toEqual(before)
    for (const other of others) other.destroy()
    server.close()
  },
)

/** Another connection that has the number by now, and what else was opened until one had. */
async function openUntil(
  server: net.Server,
  fd: number,
): Promise<{ heir: net.Socket; others: net.Socket[] }> {
  // The kernel gives the lowest number that is free, so a few sockets more will have it.
  const others: net.Socket[] = []
  server.on('connection', (peer) => others.push(peer))
  while (!others.some((other) => descriptorOf(other) === fd)) {
    expect(others.length, `${fd}: ${others.map(descriptorOf)}`).toBeLessThan(100)
    const other = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1')
    await once(other, 'connect')
    others.push(other)
  }
  return { heir: others.find((other) => descriptorOf(other) === fd)!, others }
}

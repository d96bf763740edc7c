import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { inspect, type PresetName, type Profile, profiles, tune } from '../../src/index.js'
import { connectPair, listen } from '../support/connections.js'

const names = Object.keys(profiles) as PresetName[]
const changes = names.flatMap((from) => names.map((to) => ({ from, to })))

const ways: Record<string, (from: PresetName, to: PresetName) => Promise<Profile>> = {
  'a connection': async (from, to) => {
    const { socket } = await connectPair()
    tune(socket, from)
    tune(socket, to)
    return inspect(socket).profile
  },
  'a connection that is still connecting': async (from, to) => {
    const port = await serve(net.createServer())
    const socket = net.connect(port, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    tune(socket, from)
    tune(socket, to)
    await once(socket, 'connect')
    return inspect(socket).profile
  },
  'what a server accepts': async (from, to) => {
    const server = net.createServer()
    tune(server, from)
    const port = await serve(server)
    tune(server, to)
    return inspect(await accept(server, port)).profile
  },
  'the connections of an agent': async (from, to) => {
    const port = await serve(http.createServer((_, response) => response.end()))
    const agent = new http.Agent({ keepAlive: true })
    onTestFinished(() => agent.destroy())
    tune(agent, from)
    const get = async () => {
      const request = http.get({ host: '127.0.0.1', port, agent })
      const [response] = (await once(request, 'response')) as [http.IncomingMessage]
      const { socket } = response
      response.resume()
      await once(response, 'close')
      return socket
    }
    const socket = await get()
    tune(agent, to)
    expect(inspect(socket).profile).toMatchObject(profiles[to])
    expect(await get()).toBe(socket)
    return inspect(socket).profile
  },
}

describe.each(Object.entries(ways).map(([what, tuneTwice]) => ({ what, tuneTwice })))(
  'a preset for $what',
  ({ tuneTwice }) => {
    it.each(changes)('replaces another preset completely: $from, then $to', async ({ from, to }) => {
      expect(await tuneTwice(from, to)).toMatchObject(profiles[to])
    })
  },
)

async function serve(server: net.Server): Promise<number> {
  onTestFinished(() => void server.close())
  return listen(server)
}

async function accept(server: net.Server, port: number): Promise<net.Socket> {
  const accepting = once(server, 'connection') as Promise<[net.Socket]>
  const socket = net.connect(port, '127.0.0.1')
  const [peer] = await accepting
  onTestFinished(() => void [socket.destroy(), peer.destroy()])
  return peer
}

import { once } from 'node:events'
import net from 'node:net'
import { request } from 'undici'
import { expect, it, onTestFinished } from 'vitest'
import { createAgent } from '../../src/undici/index.js'
import { listen } from '../support/connections.js'

it('leaves a reset connection to undici while a body waits to be read: the request fails, and nothing is thrown', async () => {
  const thrown: Error[] = []
  const note = (error: Error) => thrown.push(error)
  process.on('uncaughtException', note)
  const server = net.createServer((peer) => {
    peer.on('error', () => {})
    peer.on('data', () => {
      peer.write('HTTP/1.1 200 OK\r\ncontent-length: 300000\r\nconnection: close\r\n\r\n')
      peer.write(Buffer.alloc(200_000))
      peer.unref()
      accepted.push(peer)
    })
  })
  const accepted: net.Socket[] = []
  const port = await listen(server)
  const dispatcher = createAgent()
  onTestFinished(async () => {
    process.off('uncaughtException', note)
    server.close()
    await dispatcher.destroy()
  })
  const { body } = await request(`http://127.0.0.1:${port}/`, { dispatcher })
  // Until undici has stopped reading.
  await new Promise((resolve) => setTimeout(resolve, 50))
  const peerGone = once(accepted[0]!, 'close')
  accepted[0]!.resetAndDestroy()
  await peerGone
  await new Promise((resolve) => setTimeout(resolve, 50))
  await expect(body.arrayBuffer()).rejects.toThrow()
  expect(thrown).toEqual([])
})

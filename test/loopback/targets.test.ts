import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import WebSocket, { WebSocketServer } from 'ws'
import { inspect, profiles, type Target, tune } from '../../src/index.js'
import { listen } from './connections.js'

async function expectTunable(target: Target) {
  tune(target, 'mobile')
  expect(inspect(target).profile).toMatchObject(profiles.mobile)
}

describe('a connection, however one holds it', () => {
  it('ClientRequest, IncomingMessage, ServerResponse', async () => {
    const server = http.createServer((request, response) => {
      expectTunable(request)
      expectTunable(response as { socket: net.Socket | null })
      response.end('ok')
    })
    const port = await listen(server)
    const request = http.get({ port, host: '127.0.0.1' })
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    await expectTunable(request)
    await expectTunable(response)
    response.resume()
    await once(response, 'end')
    server.close()
  })

  it('ClientRequest without a socket yet: ERR_SOCKET_CLOSED, and what to wait for', async () => {
    const server = net.createServer()
    const port = await listen(server)
    const request = http.get({ port, host: '127.0.0.1' })
    request.on('error', () => {})
    expect(() => tune(request, 'lan')).toThrow(expect.objectContaining({ code: 'ERR_SOCKET_CLOSED' }))
    expect(() => tune(request, 'lan')).toThrow(/'socket'/)
    request.destroy()
    server.close()
  })

  it('Http2Session, both ends', async () => {
    const server = http2.createServer()
    const port = await listen(server)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const [[accepted]] = (await Promise.all([once(server, 'session'), once(session, 'connect')])) as [
      [http2.ServerHttp2Session],
      unknown,
    ]
    onTestFinished(() => {
      session.destroy()
      server.close()
    })
    await expectTunable(session as { socket: net.Socket })
    await expectTunable(accepted as { socket: net.Socket })
  })

  it('a ws WebSocket, both ends', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    await once(server, 'listening')
    const socket = new WebSocket(`ws://127.0.0.1:${(server.address() as net.AddressInfo).port}`)
    const [[accepted]] = (await Promise.all([once(server, 'connection'), once(socket, 'open')])) as [
      [WebSocket],
      unknown,
    ]
    onTestFinished(() => {
      socket.terminate()
      server.close()
    })
    await expectTunable(socket)
    await expectTunable(accepted)
  })
})

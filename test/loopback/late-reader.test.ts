import { execFile } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { HttpAgent } from '../../src/http/index.js'
import { listen } from '../support/connections.js'
import { until } from '../support/until.js'

// A server that answers in full and resets the connection behind it, before the program has begun to read the answer.

const SIZE = 100_000

/** One request a connection. */
async function resettingServer(): Promise<number> {
  const server = net.createServer((peer) => {
    peer.on('error', () => {})
    peer.once('data', () => {
      peer.write(`HTTP/1.1 200 OK\r\ncontent-length: ${SIZE}\r\n\r\n`)
      peer.write(Buffer.alloc(SIZE), () => peer.resetAndDestroy())
    })
  })
  onTestFinished(() => void server.close())
  return listen(server)
}

it('gets a whole response that is read after the server has reset the connection, with an HttpAgent', async () => {
  const port = await resettingServer()
  const agent = new HttpAgent()
  const request = http.get({ port, host: '127.0.0.1', agent }).on('error', () => {})
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  // It may end with the reset, once all of it has been read.
  response.on('error', () => {})
  const deaths: string[] = []
  agent.watcher!.on('dead', ({ reason }) => deaths.push(reason))
  await until(() => deaths.length > 0 || response.socket.destroyed)
  let length = 0
  response.on('data', (part: Buffer) => {
    length += part.length
  })
  await once(response, 'close')
  expect(length).toBe(SIZE)
  expect(deaths.filter((reason) => reason !== 'reset')).toEqual([])
})

it('gets it under register with DEADPEER_WATCH=1 as well', async () => {
  const port = await resettingServer()
  const program = `
    import http from 'node:http'
    const request = http.get({ port: ${port}, host: '127.0.0.1', agent: new http.Agent() }, (response) => {
      response.on('error', () => {})
      setTimeout(() => {
        let length = 0
        response.on('data', (part) => (length += part.length))
        response.on('close', () => console.log(length))
      }, 100)
    })
    request.on('error', (error) => console.log(error.message))
  `
  const register = fileURLToPath(new URL('../../dist/register.js', import.meta.url))
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--require', register, '--input-type=module', '--eval', program],
    { env: { ...process.env, DEADPEER_WATCH: '1' } },
  )
  // Newer Nodes report the reset as well, of a request that has its answer.
  expect(stdout.trimEnd().split('\n').at(-1)).toBe(String(SIZE))
})

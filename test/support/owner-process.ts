import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'
import { listen } from './connections.js'
import { nextMessage } from './next-message.js'

/** Another process that owns a connection to this one. */
export interface Owner {
  readonly pid: number
  /** The number of its descriptor there. */
  readonly fd: number
  /** Our end of its connection. */
  readonly peer: net.Socket
  readonly child: ChildProcess
  // biome-ignore lint/suspicious/noExplicitAny: what test/loopback/fixtures/owner.mjs answers
  ask(what: string, ...args: unknown[]): Promise<any>
  /** The next connection that it opens. */
  nextPeer(): Promise<net.Socket>
}

/** Ended when the file is done: its tests may run together. */
const ending: (() => void)[] = []
afterAll(() => {
  for (const end of ending) end()
})

export async function startOwner(host = '127.0.0.1'): Promise<Owner> {
  const server = net.createServer()
  const port = await listen(server, host)
  const nextPeer = async () => {
    const [peer] = (await once(server, 'connection')) as [net.Socket]
    return peer.on('error', () => {}).resume()
  }
  const connection = nextPeer()
  const script = fileURLToPath(new URL('../loopback/fixtures/owner.mjs', import.meta.url))
  const child = fork(script, [host, String(port)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  ending.push(() => {
    child.kill('SIGKILL')
    server.close()
  })
  const answer = async () => (await nextMessage(child)).value
  const [fd, peer] = await Promise.all([answer(), connection])
  const ask = (...message: unknown[]) => {
    child.send(message)
    return answer()
  }
  return { pid: child.pid!, fd, peer, child, ask, nextPeer }
}

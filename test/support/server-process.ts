import { type ChildProcess, fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import { fileURLToPath } from 'node:url'
import type { Profile } from '../../src/index.js'
import { certificate } from './certificate.js'
import { nextMessage } from './next-message.js'

/** A connection of ours to the program. */
export interface Client {
  /** What the program knows it by. */
  readonly port: number
  readonly socket: net.Socket
  /** Asks the program something, and waits for the echo. */
  echo(text: string): Promise<void>
}

/** A server in a process of its own, which knows nothing of this package's shell. */
export interface Program {
  readonly pid: number
  readonly child: ChildProcess
  /** Opens so many connections, spread evenly over plain and TLS, IPv4 and IPv6. */
  connect(count: number): Promise<Client[]>
  /**
   * Opens a plain one over IPv4 from an address that nobody else connects from: by its port alone it is not to be found, for
   * others on this host may have that as well, from another address or towards another end.
   */
  connectAlone(): Promise<{ client: Client; address: string }>
  /** The options in force, read inside the program, by client port. */
  profiles(): Promise<Map<number, Profile>>
  // biome-ignore lint/suspicious/noExplicitAny: what fixtures/program.mjs answers
  ask(what: string, ...args: unknown[]): Promise<any>
  /** Until it has heard nothing for a second, or `least` ms, but from one: before that there is nothing to ask. */
  idle(options?: { but?: Client; least?: number }): Promise<void>
  end(): void
}

interface Listening {
  readonly host: string
  readonly port: number
}

/** How to start something as root without any of root's capabilities: it may do to its like what an ordinary user may, and no more. */
export const withoutCapabilities = ['setpriv', '--bounding-set=-all', '--inh-caps=-all'] as const

export const canDropCapabilities =
  process.getuid?.() === 0 &&
  spawnSync(withoutCapabilities[0], [...withoutCapabilities.slice(1), 'true']).status === 0

export async function startProgram(before: readonly string[] = []): Promise<Program> {
  const script = fileURLToPath(new URL('../cli/fixtures/program.mjs', import.meta.url))
  const [execPath = '', ...execArgv] = [...before, process.execPath]
  const child = fork(script, { execPath, execArgv, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const clients: Client[] = []
  const ports = new Set<number>()
  const ask = async (...message: unknown[]) => {
    child.send(message)
    return (await nextMessage(child)).value
  }
  const { key, cert } = certificate()
  const listening = await ask('listen', { key: String(key), cert: String(cert) })
  const kinds = [...listening.plain, ...listening.tls] as Listening[]
  const pid = child.pid!
  return {
    pid,
    child,
    ask,
    async connect(count) {
      const opened: Client[] = []
      for (let i = 0; i < count; i++) {
        const kind = kinds[i % kinds.length]!
        const connected = () => connectTo(kind, listening.tls.includes(kind))
        let client = await connected()
        // Connections to different ends may have the same port here, and it is what the program knows them by.
        while (ports.has(client.port)) {
          const other = await connected()
          client.socket.resume().end()
          await once(client.socket, 'close')
          client = other
        }
        ports.add(client.port)
        opened.push(client)
      }
      clients.push(...opened)
      return opened
    },
    async connectAlone() {
      // A process id has 22 bits at most.
      const address = `127.${1 + (pid >> 16)}.${(pid >> 8) & 255}.${pid & 255}`
      const client = await connectTo(listening.plain[0], false, address)
      ports.add(client.port)
      clients.push(client)
      return { client, address }
    },
    profiles: async () => new Map(await ask('profiles')),
    async idle({ but, least = 1_000 } = {}) {
      while ((await ask('silence', but?.port)) < least) await delay(50)
    },
    end() {
      child.kill('SIGKILL')
      for (const { socket } of clients) socket.destroy()
    },
  }
}

async function connectTo(to: Listening, isTls: boolean, localAddress?: string): Promise<Client> {
  const socket = isTls
    ? tls.connect({ ...to, rejectUnauthorized: false })
    : net.connect({ ...to, noDelay: true, ...(localAddress && { localAddress }) })
  socket.on('error', () => {})
  await once(socket, isTls ? 'secureConnect' : 'connect')
  const client: Client = {
    port: socket.localPort!,
    socket,
    async echo(text) {
      socket.write(text)
      for (let heard = ''; heard.length < text.length; ) heard += (await once(socket, 'data'))[0]
    },
  }
  // The program has accepted it.
  await client.echo('hello')
  return client
}

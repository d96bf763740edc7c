import { type ChildProcess, fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import { fileURLToPath } from 'node:url'
import { connectionStates } from '../../src/cli/selection.js'
import { listSockets } from '../../src/host.js'
import type { Profile } from '../../src/index.js'
import { certificate } from '../loopback/certificate.js'

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
  const script = fileURLToPath(new URL('fixtures/program.mjs', import.meta.url))
  const [execPath = '', ...execArgv] = [...before, process.execPath]
  const child = fork(script, { execPath, execArgv, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const clients: Client[] = []
  const ports = new Set<number>()
  const ask = async (...message: unknown[]) => {
    child.send(message)
    return (await once(child, 'message'))[0].value
  }
  const { key, cert } = certificate()
  const listening = await ask('listen', { key: String(key), cert: String(cert) })
  const kinds = [...listening.plain, ...listening.tls] as Listening[]
  return {
    pid: child.pid!,
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

/** One whose port nobody else on this host has, towards whomever: `--port` alone means its two ends then. */
export async function aloneAtItsPort(clients: readonly Client[]): Promise<Client> {
  const ends = new Map<number, number>()
  for (const { local, remote } of await listSockets({ states: connectionStates }))
    for (const { port } of [local, remote]) ends.set(port, (ends.get(port) ?? 0) + 1)
  const found = clients.find(({ port }) => ends.get(port) === 2)
  if (!found) throw new Error(`each of ${clients.length} connections shares its port`)
  return found
}

async function connectTo({ host, port }: Listening, isTls: boolean): Promise<Client> {
  const socket = isTls
    ? tls.connect({ host, port, rejectUnauthorized: false })
    : net.connect({ host, port, noDelay: true })
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

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { leaveOut } from './skip-reason.js'

// Servers of other projects, from the packages that are installed.

/** A server of Debian's packages, on a port and in a folder of its own. */
export interface RealServer {
  readonly port: number
  /** What it has printed so far. */
  output?(): string
  /** Ends it and all that it has started, and takes its folder away. */
  stop(): Promise<void>
}

// Debian has servers in folders that are not in every user's PATH.
const PATH = `${process.env.PATH}:/usr/sbin:/sbin`

/** A port that nobody listens on at the moment. */
export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

export interface Launch {
  readonly command: string
  readonly args: readonly string[]
  readonly folder: string
  readonly port: number
  readonly env?: Record<string, string>
  /** What ends what would be left behind. */
  readonly cleanUp?: () => void
}

/** Runs in a process group of its own, so that nothing it starts outlives it. */
export async function launch({
  command,
  args,
  folder,
  port,
  env,
  cleanUp,
}: Launch): Promise<Required<RealServer>> {
  const child = spawn(command, args, {
    cwd: folder,
    env: { PATH, HOME: folder, LC_ALL: 'C', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data))
  const stop = async () => {
    await endGroup(child)
    cleanUp?.()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await untilListening(child, port)
  } catch (error) {
    await stop()
    throw new Error(`${command}: ${(error as Error).message}\n${said}`)
  }
  return { port, output: () => said, stop }
}

async function endGroup(child: ChildProcess): Promise<void> {
  const running = child.exitCode === null && child.signalCode === null
  const ended = running ? once(child, 'exit') : undefined
  for (const signal of ['SIGINT', 'SIGKILL'] as const) {
    try {
      process.kill(-child.pid!, signal)
    } catch {
      // All of it has ended.
    }
    await Promise.race([ended, delay(signal === 'SIGINT' ? 5_000 : 1_000, undefined, { ref: false })])
  }
}

async function untilListening(child: ChildProcess, port: number): Promise<void> {
  const deadline = performance.now() + 60_000
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}`)
    const socket = net.connect(port, '127.0.0.1')
    const connected = await new Promise((resolve) => {
      socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    })
    socket.destroy()
    if (connected) return
    await delay(100)
  }
  throw new Error('does not listen after a minute')
}

export function newFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `deadpeer-${name}-`))
}

function isInstalled(command: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${command}`], { env: { PATH } }).status === 0
}

/** Says why a server is left out, where it is. */
export function lacks(command: string, debianPackage: string): boolean {
  if (existsSync(command) || isInstalled(command)) return false
  leaveOut(`no ${command} (Debian: ${debianPackage})`)
  return true
}

/** How a server that refuses to run as root is started: as another user where there is one. */
export function otherUser(program: string): { command: string[]; uid?: number } | undefined {
  if (process.getuid!() !== 0) return { command: [] }
  const uid = 65_534
  const command = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups']
  if (spawnSync(command[0]!, [...command.slice(1), 'true']).status === 0) return { command, uid }
  leaveOut(`${program} does not run as root, and there is no other user in this user namespace`)
  return undefined
}

import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import net from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { leaveOut } from './skip-reason.js'

const run = promisify(execFile)

/** A server of Debian's packages, on a port and in a folder of its own. */
export interface RealServer {
  readonly port: number
  /** Ends it and all that it has started, and takes its folder away. */
  stop(): Promise<void>
}

/** A port that nobody listens on at the moment. */
export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

interface Launch {
  readonly command: string
  readonly args: readonly string[]
  readonly folder: string
  readonly port: number
  readonly env?: Record<string, string>
  /** What ends what would be left behind. */
  readonly cleanUp?: () => void
}

/** Runs in a process group of its own, so that nothing it starts outlives it. */
async function launch({ command, args, folder, port, env, cleanUp }: Launch): Promise<RealServer> {
  const child = spawn(command, args, {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, LC_ALL: 'C', ...env },
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
  return { port, stop }
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

function newFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `deadpeer-${name}-`))
}

function isInstalled(command: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${command}`]).status === 0
}

/** Says why a server is left out, where it is. */
function lacks(command: string, debianPackage: string): boolean {
  if (existsSync(command) || isInstalled(command)) return false
  leaveOut(`no ${command} (Debian: ${debianPackage})`)
  return true
}

const POSTGRES = '/usr/lib/postgresql'

/** Does not run as root: another user does it, where there is one. */
export async function startPostgres(): Promise<RealServer | undefined> {
  const versions = existsSync(POSTGRES) ? readdirSync(POSTGRES) : []
  const bin = versions
    .map((version) => join(POSTGRES, version, 'bin/postgres'))
    .findLast((path) => existsSync(path))
  if (bin === undefined) {
    leaveOut('no PostgreSQL (Debian: postgresql)')
    return undefined
  }
  const as = await otherUser()
  if (!as) return undefined
  const folder = newFolder('postgres')
  if (as.uid !== undefined) chownSync(folder, as.uid, as.uid)
  const port = await freePort()
  const [command, ...args] = [
    ...as.command,
    bin,
    '-D',
    join(folder, 'data'),
    '-p',
    String(port),
    '-k',
    folder,
  ]
  const [init, ...initArgs] = [...as.command, bin.replace(/postgres$/, 'initdb')]
  const settings = ['-A', 'trust', '-U', 'postgres', '-N']
  await run(init!, [...initArgs, '-D', join(folder, 'data'), ...settings], { cwd: folder })
  return launch({ command: command!, args: [...args, '-h', '127.0.0.1', '-F'], folder, port })
}

async function otherUser(): Promise<{ command: string[]; uid?: number } | undefined> {
  if (process.getuid!() !== 0) return { command: [] }
  const uid = 65_534
  const command = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups']
  if (spawnSync(command[0]!, [...command.slice(1), 'true']).status === 0) return { command, uid }
  leaveOut('PostgreSQL does not run as root, and there is no other user in this user namespace')
  return undefined
}

export async function startRedis(...more: string[]): Promise<RealServer | undefined> {
  if (lacks('redis-server', 'redis-server')) return undefined
  const folder = newFolder('redis')
  const port = await freePort()
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder, ...more]
  return launch({ command: 'redis-server', args, folder, port })
}

/** MariaDB, whose root has no password. */
export async function startMariaDB(): Promise<RealServer | undefined> {
  if (lacks('mariadbd', 'mariadb-server')) return undefined
  const folder = newFolder('mariadb')
  const port = await freePort()
  const shared = ['--no-defaults', `--datadir=${join(folder, 'data')}`]
  // As root it demands to be told so.
  if (process.getuid!() === 0) shared.push('--user=root')
  const settings = ['--auth-root-authentication-method=normal', '--skip-test-db']
  await run('mariadb-install-db', [...shared, ...settings], { cwd: folder })
  const address = ['--bind-address=127.0.0.1', `--port=${port}`, `--socket=${join(folder, 'socket')}`]
  const args = [...shared, ...address, '--skip-networking=0', '--innodb-buffer-pool-size=16M']
  return launch({ command: 'mariadbd', args, folder, port })
}

export interface MqttBroker extends RealServer {
  readonly webSocketPort: number
}

export async function startMosquitto(): Promise<MqttBroker | undefined> {
  if (lacks('mosquitto', 'mosquitto')) return undefined
  const folder = newFolder('mosquitto')
  const [port, webSocketPort] = [await freePort(), await freePort()]
  const settings = [
    'allow_anonymous true',
    'persistence false',
    'user root',
    `listener ${port} 127.0.0.1`,
    `listener ${webSocketPort} 127.0.0.1`,
    'protocol websockets',
  ]
  writeFileSync(join(folder, 'mosquitto.conf'), `${settings.join('\n')}\n`)
  const args = ['-c', join(folder, 'mosquitto.conf')]
  return { ...(await launch({ command: 'mosquitto', args, folder, port })), webSocketPort }
}

export async function startNats(): Promise<RealServer | undefined> {
  if (lacks('nats-server', 'nats-server')) return undefined
  const folder = newFolder('nats')
  const port = await freePort()
  return launch({ command: 'nats-server', args: ['-a', '127.0.0.1', '-p', String(port)], folder, port })
}

export interface SshServer extends RealServer {
  readonly user: string
  /** The file with the private key that logs in. */
  readonly key: string
}

/** Logs in whoever runs the tests, by a key that is made for it. */
export async function startSshd(): Promise<SshServer | undefined> {
  const command = '/usr/sbin/sshd'
  if (lacks(command, 'openssh-server')) return undefined
  const folder = newFolder('sshd')
  const port = await freePort()
  for (const name of ['host', 'user']) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)])
  }
  const settings = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${folder}/host`,
    `AuthorizedKeysFile ${folder}/user.pub`,
    'PidFile none',
    'StrictModes no',
    'UsePAM no',
    'PermitRootLogin yes',
    'MaxStartups 100',
    // sshd's own keepalive stays out of the way.
    'ClientAliveInterval 0',
  ]
  writeFileSync(join(folder, 'config'), `${settings.join('\n')}\n`)
  // Where the package has just been installed, this folder for sshd's unprivileged part is not there before its service is started.
  if (process.getuid!() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  const args = ['-D', '-e', '-f', join(folder, 'config')]
  const server = await launch({ command, args, folder, port })
  return { ...server, user: userInfo().username, key: join(folder, 'user') }
}

/** Starts a port mapper (epmd), which stays when it ends: so it is given one of its own, which is ended as well. */
export async function startRabbit(): Promise<RealServer | undefined> {
  const command = '/usr/lib/rabbitmq/bin/rabbitmq-server'
  if (lacks(command, 'rabbitmq-server')) return undefined
  const folder = newFolder('rabbitmq')
  const [port, distribution, mapper] = [await freePort(), await freePort(), await freePort()]
  const env = {
    RABBITMQ_NODENAME: `deadpeer-${port}@localhost`,
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_DIST_PORT: String(distribution),
    ERL_EPMD_PORT: String(mapper),
    RABBITMQ_MNESIA_BASE: join(folder, 'data'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
    RABBITMQ_PID_FILE: join(folder, 'pid'),
    // One scheduler, which sleeps where there is nothing to do.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 1:1 +sbwt none',
  }
  const cleanUp = () => {
    const pid = existsSync(env.RABBITMQ_PID_FILE) ? Number(readFileSync(env.RABBITMQ_PID_FILE, 'utf8')) : 0
    endProcess(pid)
    spawnSync('epmd', ['-port', String(mapper), '-kill'])
  }
  return launch({ command, args: [], folder, port, env, cleanUp })
}

function endProcess(pid: number): void {
  try {
    if (pid > 0) process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended already.
  }
}

import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, lacks, launch, newFolder, otherUser, type RealServer } from './installed-server.js'
import { leaveOut } from './skip-reason.js'

const run = promisify(execFile)

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
  const as = otherUser('PostgreSQL')
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

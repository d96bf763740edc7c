import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { certificate } from './certificate.js'
import { leaveOut } from './skip-reason.js'

// Where servers are, for who is not root.
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` }

/** Whether a program is here; where not, says so once. */
function has(program: string, version: string): boolean {
  const found = spawnSync(program, [version], { env }).status === 0
  if (!found) leaveOut(`${program} is not installed`)
  return found
}

export const hasNginx = has('nginx', '-v')
export const hasHaproxy = has('haproxy', '-v')
export const hasCurl = has('curl', '--version')

/** A server of somebody else's, in a folder of its own. */
export interface Running extends AsyncDisposable {
  readonly port: number
  readonly process: ChildProcess
  /** What it has logged of requests, a line each, once there are so many. */
  requests(count: number): Promise<string[]>
}

/**
 * nginx with one server. `settings` are those of the http block, `server` those of the server; `listen` what comes after the
 * port. Each request is logged: the connection's number, protocol, status.
 */
export async function startNginx(settings: string, server: string, listen = ''): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), 'deadpeer-nginx-'))
  const port = await freePort()
  const { key, cert } = certificate()
  writeFileSync(join(folder, 'key.pem'), key)
  writeFileSync(join(folder, 'cert.pem'), cert)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${folder}/${kind};`,
  )
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; master_process off; user root; pid ${folder}/pid; error_log stderr; events {}
    http {
      ${temporary.join('\n')}
      log_format line '$connection $server_protocol $status';
      access_log ${folder}/access.log line;
      ${settings}
      server {
        listen 127.0.0.1:${port} ${listen};
        ssl_certificate ${folder}/cert.pem; ssl_certificate_key ${folder}/key.pem;
        ${server}
      }
    }`,
  )
  return await start(
    'nginx',
    ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'],
    folder,
    port,
    () => readFileSync(join(folder, 'access.log'), 'utf8'),
  )
}

/** HAProxy in front of a server on this port. Each request is logged: the client's port, protocol, status. */
export async function startHaproxy(settings: string, server: number): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), 'deadpeer-haproxy-'))
  const port = await freePort()
  writeFileSync(
    join(folder, 'haproxy.cfg'),
    `global
      log stdout format raw local0
    defaults
      mode http
      log global
      log-format "%cp %HV %ST"
      timeout connect 2s
      timeout client 20s
      timeout server 20s
      ${settings}
    listen all
      bind 127.0.0.1:${port}
      server one 127.0.0.1:${server}
`,
  )
  let output = ''
  const running = await start(
    'haproxy',
    ['-db', '-f', join(folder, 'haproxy.cfg')],
    folder,
    port,
    () => output,
  )
  running.process.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk
  })
  return running
}

async function start(
  program: string,
  args: string[],
  folder: string,
  port: number,
  log: () => string,
): Promise<Running> {
  const process = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let complaint = ''
  process.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    complaint += chunk
  })
  await listening(port, () => {
    if (process.exitCode !== null) throw new Error(`${program} ended with ${process.exitCode}: ${complaint}`)
  })
  return {
    port,
    process,
    requests: async (count) => {
      const lines = () =>
        log()
          .split('\n')
          .filter((line) => /^\d+ HTTP/.test(line))
      for (const deadline = performance.now() + 10_000; lines().length < count; await delay(20)) {
        if (performance.now() > deadline)
          throw new Error(`${program} logged ${lines().length} requests of ${count}`)
      }
      return lines()
    },
    async [Symbol.asyncDispose]() {
      const ended = once(process, 'close')
      process.kill('SIGKILL')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Nobody else's as it is asked for. */
async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Tries to connect until somebody accepts. */
async function listening(port: number, check: () => void): Promise<void> {
  for (const deadline = performance.now() + 10_000; performance.now() < deadline; await delay(20)) {
    check()
    const socket = net.connect(port, '127.0.0.1')
    const connected = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    })
    socket.destroy()
    if (connected) return
  }
  throw new Error(`nobody listens on port ${port}`)
}

/** What curl says of two requests in one run: connections opened by each, protocol, and whether there was a TLS handshake. */
export async function curl(
  url: string,
  ...args: string[]
): Promise<{ connections: number; handshakes: number; protocol: string }> {
  const each = '%{num_connects} %{http_version} %{time_appconnect}\\n'
  const child = spawn('curl', ['-sk', '-o', '/dev/null', '-o', '/dev/null', '-w', each, ...args, url, url])
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk
  })
  await once(child, 'close')
  const lines = output
    .trim()
    .split('\n')
    .map((line) => line.split(' '))
  const opened = lines.filter(([connects]) => connects !== '0')
  return {
    connections: opened.length,
    handshakes: opened.filter(([, , seconds]) => Number(seconds) > 0).length,
    protocol: lines[0]![1]!,
  }
}

/** How many connections there are in lines that begin with the number of one. */
export function connectionsIn(lines: readonly string[]): number {
  return new Set(lines.map((line) => line.split(' ')[0])).size
}

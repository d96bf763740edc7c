import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { certificate } from './certificate.js'
import { freePort, lacks, launch, newFolder, type RealServer } from './installed-server.js'
import { until } from './until.js'

export const hasNginx = !lacks('nginx', 'nginx-light')
export const hasHaproxy = !lacks('haproxy', 'haproxy')
export const hasCurl = !lacks('curl', 'curl')

/** A web server or proxy that logs its requests. */
export interface Running extends AsyncDisposable {
  readonly port: number
  /** What it has logged of requests, a line each, once there are so many. */
  requests(count: number): Promise<string[]>
}

/**
 * nginx with one server. `settings` are those of the http block, `server` those of the server; `listen` what comes after the
 * port. Each request is logged: the connection's number, protocol, status.
 */
export async function startNginx(settings: string, server: string, listen = ''): Promise<Running> {
  const folder = newFolder('nginx')
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
  const args = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr']
  const nginx = await launch({ command: 'nginx', args, folder, port })
  return withLog(nginx, () => readFileSync(join(folder, 'access.log'), 'utf8'))
}

/** HAProxy in front of a server on this port. Each request is logged: the client's port, protocol, status. */
export async function startHaproxy(settings: string, server: number): Promise<Running> {
  const folder = newFolder('haproxy')
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
  const args = ['-db', '-f', join(folder, 'haproxy.cfg')]
  const haproxy = await launch({ command: 'haproxy', args, folder, port })
  return withLog(haproxy, haproxy.output)
}

function withLog({ port, stop }: RealServer, log: () => string): Running {
  const lines = () =>
    log()
      .split('\n')
      .filter((line) => /^\d+ HTTP/.test(line))
  return {
    port,
    async requests(count) {
      await until(() => lines().length >= count)
      return lines()
    },
    [Symbol.asyncDispose]: stop,
  }
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

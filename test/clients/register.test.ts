import { fork } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import type net from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, it, onTestFinished } from 'vitest'
import { inspect, profiles } from '../../src/index.js'
import { listen } from '../support/connections.js'
import { connectionsOf } from '../support/connections-of-process.js'
import { startPostgres, startRedis } from '../support/database-servers.js'

const postgres = await startPostgres()
const redis = await startRedis()
afterAll(async () => {
  await postgres?.stop()
  await redis?.stop()
})

it('tunes all connections of a program with pg, ioredis, fetch and gRPC, as seen from outside', async () => {
  const web = http.createServer((_, response) => response.end('ok'))
  web.keepAliveTimeout = 60_000
  const rpc = http2.createServer()
  const sessions: http2.Http2Session[] = []
  rpc.on('session', (session) => sessions.push(session.on('error', () => {})))
  const ports = {
    postgres: postgres?.port,
    redis: redis?.port,
    web: await listen(web),
    rpc: await listen(rpc as unknown as net.Server),
  }
  const child = fork(
    fileURLToPath(new URL('fixtures/program.mjs', import.meta.url)),
    [JSON.stringify(ports)],
    {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      execArgv: ['--import', 'deadpeer/register'],
      env: { ...process.env, DEADPEER_PROFILE: 'datacenter', DEADPEER_RULES: `${ports.rpc}=lan` },
    },
  )
  onTestFinished(() => {
    child.kill('SIGKILL')
    web.closeAllConnections()
    for (const session of sessions) session.destroy()
    web.close()
    rpc.close()
  })
  await once(child, 'message')
  const connections = [...(await connectionsOf(child.pid!)).values()]
  const count = (port: number | undefined) =>
    connections.filter(({ record }) => record.remote.port === port).length
  if (postgres) expect(count(ports.postgres)).toBe(3)
  if (redis) expect(count(ports.redis)).toBe(1)
  expect(count(ports.web)).toBe(2)
  expect(count(ports.rpc)).toBe(1)
  for (const { record, socket } of connections) {
    const wanted = record.remote.port === ports.rpc ? profiles.lan : profiles.datacenter
    expect(inspect(socket).profile, `to port ${record.remote.port}`).toMatchObject(wanted)
  }
})

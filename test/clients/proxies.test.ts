import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { detectionTime, type Profile, profiles } from '../../src/index.js'
import { QUICK } from '../support/guide-examples.js'
import { lacks, otherUser } from '../support/installed-server.js'
import { hasNamespaces, runInside } from '../support/network-namespace.js'
import { latest } from '../support/tolerance.js'

// The guide's lines for proxies, each with the real proxy: what its sockets have with exactly these lines, and with shorter times that it notices
// clients and servers that go silent.

const HEADING = 'Proxies: HAProxy, nginx, Envoy, PgBouncer'
const guide = readFileSync(new URL('../../docs/guide.md', import.meta.url), 'utf8')
const [, section] = new RegExp(`^## ${HEADING}\n([\\s\\S]*?)(?=^## )`, 'm').exec(guide) ?? []

function linesIn(language: string): string {
  const [, lines] = new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\``, 'm').exec(section ?? '') ?? []
  if (lines === undefined) throw new Error(`the guide has no ${language} lines for proxies`)
  return lines
}

/** Both in ms. */
interface Noticed {
  /** When the proxy's socket was last seen open, after the silence began. */
  readonly after: number
  /** How much later the other side was closed. */
  readonly passedOn?: number
}

interface Result {
  readonly toClient: Profile
  readonly toServer: Profile
  /** A silent server, idle and with data in flight; a silent client, likewise. */
  readonly noticed: readonly Noticed[]
}

interface Settings {
  readonly lines: string
  readonly commands: readonly string[]
}

async function run(proxy: string, exact: Settings, quick: Settings): Promise<Result> {
  const output = await runInside('proxies.mjs', proxy, JSON.stringify(exact), JSON.stringify(quick))
  return JSON.parse(output)
}

function expectNoticed({ after, passedOn }: Noticed, time: number): void {
  expect(after).toBeGreaterThan(500)
  expect(after).toBeLessThan(latest(time))
  if (passedOn !== undefined) expect(passedOn).toBeLessThan(latest(0))
}

/** What the proxy's sockets have with the guide's lines, and the times in which it noticed its silent peers with the shorter ones. */
function expectAllNoticed(
  { toClient, toServer, noticed }: Result,
  profile: Profile,
  { idle, inFlight }: { readonly idle: number; readonly inFlight: number },
): void {
  expect(toClient).toMatchObject(profile)
  expect(toServer).toMatchObject(profile)
  const [idleServer, busyServer, idleClient, busyClient] = noticed
  for (const each of [idleServer!, idleClient!]) expectNoticed(each, idle)
  for (const each of [busyServer!, busyClient!]) expectNoticed(each, inFlight)
}

const GUIDE = profiles.datacenter

describe.concurrent('the proxies of the guide', () => {
  it.skipIf(!hasNamespaces || lacks('haproxy', 'haproxy'))(
    'HAProxy notices silent servers and clients in time, and closes the other side',
    async () => {
      const lines = linesIn('haproxy')
      const shorter = lines
        .replaceAll('-idle 15s', '-idle 1s')
        .replaceAll('-intvl 5s', '-intvl 1s')
        .replaceAll('-cnt 3', '-cnt 1')
        .replaceAll('tcp-ut 30s', 'tcp-ut 2s')
      const result = await run('haproxy', { lines, commands: [] }, { lines: shorter, commands: [] })
      expectAllNoticed(result, GUIDE, detectionTime(QUICK))
    },
  )

  it.skipIf(!hasNamespaces || lacks('pgbouncer', 'pgbouncer') || !otherUser('PgBouncer'))(
    'PgBouncer notices silent servers and clients in time, and closes the connection of the client',
    async () => {
      const lines = linesIn('ini')
      const shorter = lines
        .replace('idle = 15', 'idle = 1')
        .replace('intvl = 5', 'intvl = 1')
        .replace('cnt = 3', 'cnt = 1')
        .replace('timeout = 30000', 'timeout = 2000')
      const result = await run('pgbouncer', { lines, commands: [] }, { lines: shorter, commands: [] })
      expectAllNoticed(result, GUIDE, detectionTime(QUICK))
    },
  )

  it.skipIf(!hasNamespaces || lacks('nginx', 'nginx-light'))(
    'nginx notices silent servers and clients in time, and closes the other side',
    async () => {
      const lines = linesIn('nginx')
      const system = linesIn('sh').trim()
      const shorter = lines.replace('15s:5s:3', '1s:1s:1')
      const shorterSystem = system
        .replace('_time=15', '_time=1')
        .replace('_intvl=5', '_intvl=1')
        .replace('_probes=3', '_probes=1')
        .replace('retries2=5', 'retries2=2')
      const result = await run(
        'nginx',
        { lines, commands: [system] },
        { lines: shorter, commands: [shorterSystem] },
      )
      const { userTimeout: _, ...keepalive } = GUIDE
      expectAllNoticed(result, keepalive, { idle: 2_000, inFlight: retriesEnd(2).latest })
      // As the guide has it for its own lines.
      expect(retriesEnd(5)).toEqual({ earliest: 12_600, latest: 25_600 })
    },
  )
})

/**
 * When `tcp_retries2` ends a connection with data in flight, at the shortest retransmission timeout, 200 ms. The kernel allows
 * the time that n retransmissions take, 200 ms × (2ⁿ⁺¹ − 1), counts it from the first one (at 400 ms, after a loss probe), and looks whenever
 * its timer fires. The nth firing after that is 200 ms early, so it is late or the next one decides.
 */
function retriesEnd(n: number): { earliest: number; latest: number } {
  return { earliest: 200 * (2 ** (n + 1) - 1), latest: 400 + 200 * (2 ** (n + 2) - 2) }
}

it("uses Linux's socket option numbers in the guide's lines for Envoy", () => {
  const numbers: Record<string, [level: number, name: number, value: number]> = {
    SO_KEEPALIVE: [1, 9, 1],
    TCP_KEEPIDLE: [6, 4, GUIDE.initialDelay! / 1_000],
    TCP_KEEPINTVL: [6, 5, GUIDE.interval! / 1_000],
    TCP_KEEPCNT: [6, 6, GUIDE.count!],
    TCP_USER_TIMEOUT: [6, 18, GUIDE.userTimeout!],
  }
  const pattern = /description: (\w+), level: (\d+), name: (\d+), int_value: (\d+)/g
  const options = [...linesIn('yaml').matchAll(pattern)]
  expect(options).toHaveLength(6)
  for (const [, name, ...values] of options) expect(values.map(Number), name).toEqual(numbers[name!])
  expect(linesIn('yaml')).toContain('{ keepalive_time: 15, keepalive_interval: 5, keepalive_probes: 3 }')
})

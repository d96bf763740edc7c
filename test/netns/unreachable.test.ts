import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { latest, TICK } from '../tolerance.js'

const available = spawnSync('unshare', ['-n', 'ip', 'link', 'set', 'lo', 'up']).status === 0
if (!available) console.log('# skipped: no network namespace to be had (unshare -n, ip)')

interface Ending {
  code: string
  after: number
}

describe.skipIf(!available)('a far host, behind a router', () => {
  let outcomes: Record<string, Ending>
  beforeAll(async () => {
    outcomes = await run()
  })

  it('row 16: keepalive ignores ICMP unreachable, also with failOnIcmp', () => {
    const { code, after } = outcomes.keepalive!
    expect(code).toBe('ETIMEDOUT')
    // Silence began when it was heard last, which the setting up of the others came after.
    expect(after).toBeGreaterThan(2_500)
    expect(after).toBeLessThan(latest(3_000))
  })

  it('row 17: data in flight ends with EHOSTUNREACH', () => {
    const { code, after } = outcomes.userTimeout!
    expect(code).toBe('EHOSTUNREACH')
    expect(after).toBeGreaterThan(2_000)
    expect(after).toBeLessThan(latest(2_400))
  })

  it('row 18: failOnIcmp ends it with the first ICMP', () => {
    const { code, after } = outcomes.failOnIcmp!
    expect(code).toBe('EHOSTUNREACH')
    expect(after).toBeLessThan(latest(420))
  })

  it('row 10: a peer that was restarted answers the first probe with a reset', () => {
    const { code, after } = outcomes.rebooted!
    expect(code).toBe('ECONNRESET')
    expect(after).toBeGreaterThan(2_000 - TICK)
    expect(after).toBeLessThan(latest(2_000))
  })
})

async function run(): Promise<Record<string, Ending>> {
  const script = fileURLToPath(new URL('fixtures/unreachable.mjs', import.meta.url))
  const child = spawn('unshare', ['-n', process.execPath, script], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk) => (output += chunk))
  const code = await new Promise((resolve) => child.once('close', resolve))
  if (code !== 0) throw new Error(`the scenario ended with ${code}`)
  return JSON.parse(output)
}

import { beforeAll, describe, expect, it } from 'vitest'
import { readDefaults, type SystemDefaults } from '../../src/host/index.js'
import { capabilities } from '../../src/index.js'
import { hasNamespaces, runInNamespace } from '../support/network-namespace.js'

/** Each in the kernel's unit. */
const inKernelUnits = (defaults: SystemDefaults) => ({
  tcp_keepalive_time: defaults.initialDelay! / 1000,
  tcp_keepalive_intvl: defaults.interval! / 1000,
  tcp_keepalive_probes: defaults.count,
  tcp_retries1: defaults.retries1,
  tcp_retries2: defaults.retries2,
  tcp_syn_retries: defaults.synCount,
  tcp_synack_retries: defaults.synackRetries,
  tcp_syn_linear_timeouts: defaults.synLinearTimeouts,
  tcp_orphan_retries: defaults.orphanRetries,
  tcp_fin_timeout: defaults.finTimeout! / 1000,
  tcp_invalid_ratelimit: defaults.invalidRatelimit,
  tcp_rto_min_us: defaults.rtoMin && defaults.rtoMin * 1000,
  tcp_rto_max_ms: defaults.rtoMax,
})

describe.runIf(hasNamespaces)('readDefaults in a namespace with unusual sysctls', () => {
  // biome-ignore lint/suspicious/noExplicitAny: JSON of a fixture
  let outcome: any
  beforeAll(async () => {
    outcome = await runInNamespace('odd-defaults.mjs')
  })

  it('reads what was written, as sysctl does', () => {
    const read = inKernelUnits(outcome.defaults)
    expect(outcome.sysctl).toEqual(outcome.written)
    expect(JSON.parse(JSON.stringify(read))).toEqual(outcome.sysctl)
  })

  it("has no backlog, because only the host's namespace has that sysctl", () => {
    expect(outcome.defaults).not.toHaveProperty('netdevMaxBacklog')
  })

  it('equals an untouched socket in every option', () => {
    const without = outcome.written.tcp_rto_max_ms === undefined ? ['rtoMax'] : []
    expect([...outcome.followed, ...without].sort()).toEqual(Object.keys(capabilities().options).sort())
  })

  it('equals a socket that was set to the default values, because the kernel does not tell the two apart', () => {
    expect(outcome.tuned).toEqual(
      outcome.followed.filter((name: string) => name !== 'enable' && name !== 'count'),
    )
  })

  it('reads the values at the time of the call', () => {
    expect(outcome).toMatchObject({ outdated: false, follows: true })
  })
})

describe('readDefaults of this system', () => {
  it('has the values that every Linux kernel has', () => {
    const defaults = readDefaults()
    for (const name of [
      'initialDelay',
      'interval',
      'count',
      'synCount',
      'retries1',
      'retries2',
      'finTimeout',
    ] as const) {
      expect(defaults[name]).toBeGreaterThan(0)
    }
  })
})

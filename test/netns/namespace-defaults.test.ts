import { beforeAll, describe, expect, it } from 'vitest'
import { hasNamespaces, runInNamespace } from '../support/network-namespace.js'

/** The kernel's timers are late by up to an eighth. */
const SLACK = 1.125
/** What it takes to be told, ms. */
const TOLD = 250

describe.runIf(hasNamespaces)('a network namespace with tcp_retries2 3', () => {
  // biome-ignore lint/suspicious/noExplicitAny: JSON of a fixture
  let outcome: any
  beforeAll(async () => {
    outcome = await runInNamespace('short-retries.mjs')
  })

  it('makes detectionTime() of a live connection no later than its death (row 4)', () => {
    const { predicted, retries2, died } = outcome.data
    expect(retries2).toBe(3)
    expect(predicted.inFlight).toBe(3_000 + 400)
    expect(died).toMatchObject({ code: 'ETIMEDOUT' })
    expect(died.at).toBeGreaterThanOrEqual(predicted.inFlight)
    expect(died.at).toBeLessThan(2 * predicted.inFlight * SLACK + TOLD)
  })

  it('makes deadpeer inspect print how soon a connection with data in flight ends', () => {
    const { left, died } = outcome.data
    for (const { ms, isExact, at } of left) {
      expect(isExact).toBe(false)
      expect(died.at).toBeLessThan(at + ms * SLACK + TOLD)
    }
    // As it goes on, less is left.
    expect(left[1].ms).toBeLessThan(left[0].ms)
  })

  it.each(['byCount', 'byUserTimeout'])(
    'lets deadpeer inspect say when a connection attempt ends (row 9): %s',
    (how) => {
      const { left, died } = outcome[how]
      expect(died.code).toBe('ETIMEDOUT')
      for (const { ms, isExact, at } of left) {
        expect(isExact).toBe(true)
        // It is asked before `at`.
        expect(died.at).toBeGreaterThan(ms - TOLD)
        expect(died.at).toBeLessThan(at + ms * SLACK + TOLD)
      }
    },
  )
})

describe.runIf(hasNamespaces)('a connection in another network namespace than its process', () => {
  // biome-ignore lint/suspicious/noExplicitAny: JSON of a fixture
  let outcome: any
  beforeAll(async () => {
    outcome = await runInNamespace('hand-over.mjs')
  })

  it('is judged with the sysctls of its own namespace if this process may enter it', () => {
    const { here, privileged } = outcome
    expect(here).toMatchObject({ retries2: 5, initialDelay: 1_234_000 })
    expect(privileged.own).toMatchObject({ retries2: 15, initialDelay: 7_200_000 })
    expect(privileged.defaults).toEqual(here)
    expect(privileged.detection.inFlight).toBe(13_000)
    expect(privileged.explained).toContain('13 s')
    expect(privileged.equalsDefault).toContain('initialDelay')
  })

  it('is judged with a note that its sysctls cannot be read if this process may not enter its namespace', () => {
    const { unprivileged } = outcome
    expect(unprivileged.own).toMatchObject({ retries2: 15 })
    expect(unprivileged).not.toHaveProperty('defaults')
    expect(unprivileged.equalsDefault).toEqual(['enable', 'userTimeout', 'failOnIcmp'])
    // That of a kernel left as it is.
    expect(unprivileged.detection.inFlight).toBe(925_000)
  })
})

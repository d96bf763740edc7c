import { describe, expect, it } from 'vitest'
import { hasNamespaces, runInside } from '../support/network-namespace.js'

const RUNS = 1_000

describe.skipIf(!hasNamespaces)('listSockets with a filter', () => {
  it(`lists what the filter would leave of the full list: ${RUNS} random filters`, async () => {
    const seed = Date.now() % 2 ** 31
    const { runs, telling } = JSON.parse(await runInside('filters.mjs', '200', String(RUNS), String(seed)))
    expect(runs).toBe(RUNS)
    expect(telling).toBeGreaterThan(RUNS / 4)
  })
})

import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Deaths take seconds by their nature; those of one file are waited for together.
    testTimeout: 40_000,
    hookTimeout: 40_000,
    pool: 'forks',
    maxWorkers: 2,
    maxConcurrency: 100,
    // Titles show the fields of a row whole.
    chaiConfig: { truncateThreshold: 200 },
  },
})

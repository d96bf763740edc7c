import * as deadpeer from 'deadpeer'
import { expect, test } from 'vitest'
import { use } from './use.mjs'

test('uses the native core', async () => {
  const outcome = await use(deadpeer)
  expect(outcome.native).toBe(true)
  process.stdout.write(`${JSON.stringify(outcome)}\n`)
})

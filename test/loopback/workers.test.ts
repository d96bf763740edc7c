import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { expect, it } from 'vitest'

it('leaves nothing open after a thousand tunes in worker threads that are terminated meanwhile', async () => {
  const script = new URL('fixtures/worker.mjs', import.meta.url)
  const errors: Error[] = []
  const tunes = new Int32Array(new SharedArrayBuffer(4))
  const openBefore = await openDescriptors()
  for (let round = 0; round < 10; round++) {
    const workers = Array.from({ length: 4 }, () =>
      new Worker(script, { workerData: tunes }).on('error', (error) => errors.push(error)),
    )
    await Promise.all(workers.map((worker) => once(worker, 'message')))
    // Each at another point of its work, and one as early as can be.
    await Promise.all(
      workers.map(async (worker, i) => {
        for (let turn = 0; turn < i * 5; turn++) await new Promise((resolve) => setImmediate(resolve))
        await worker.terminate()
      }),
    )
  }
  expect(errors).toEqual([])
  expect(tunes[0]).toBeGreaterThan(1_000)
  expect(await openDescriptors()).toBeLessThanOrEqual(openBefore)
})

/** Counted once the first worker has come and gone, since Node keeps some of its own. */
async function openDescriptors(): Promise<number> {
  const worker = new Worker(new URL('fixtures/worker.mjs', import.meta.url))
  await once(worker, 'message')
  await worker.terminate()
  return readdirSync('/proc/self/fd').length
}

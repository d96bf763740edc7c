import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { expect, it } from 'vitest'
import { deathwatchThreads } from '../support/deathwatch-thread.mjs'

const script = new URL('fixtures/watching-worker.mjs', import.meta.url)

/** Counted once the first worker has come and gone, since Node keeps some of its own. */
async function openDescriptors(): Promise<number> {
  const worker = new Worker(script, { workerData: new Int32Array(new SharedArrayBuffer(4)) })
  await once(worker, 'message')
  await worker.terminate()
  return readdirSync('/proc/self/fd').length
}

it('leaves no thread and no descriptor in workers that are terminated at any step of watching', async () => {
  const told = new Int32Array(new SharedArrayBuffer(4))
  const errors: Error[] = []
  const openBefore = await openDescriptors()
  let most = 0
  for (let round = 0; round < 25; round++) {
    const workers = Array.from({ length: 4 }, () =>
      new Worker(script, { workerData: told }).on('error', (error) => errors.push(error)),
    )
    await Promise.all(workers.map((worker) => once(worker, 'message')))
    most = Math.max(most, deathwatchThreads())
    await Promise.all(
      workers.map(async (worker, i) => {
        // Each somewhere else: while it connects, adds, is told, or its thread starts or ends.
        await delay(i === 0 ? 0 : round / 5 + i * 1.3)
        await worker.terminate()
      }),
    )
    expect(deathwatchThreads()).toBe(0)
  }
  expect(errors).toEqual([])
  expect(told[0]).toBeGreaterThan(100)
  expect(most).toBeGreaterThan(0)
  expect(await openDescriptors()).toBeLessThanOrEqual(openBefore)
})

it('leaves nothing in workers that end by themselves while they watch', async () => {
  const script = `
    const { once } = require('node:events')
    const net = require('node:net')
    import('${new URL('../../dist/index.js', import.meta.url).href}').then(async ({ watch }) => {
      const server = net.createServer((peer) => peer.unref()).listen(0, '127.0.0.1')
      await once(server, 'listening')
      const socket = net.connect(server.address().port, '127.0.0.1')
      await once(socket, 'connect')
      watch().add(socket).add(server)
      if (process.argv[2] === 'exit') process.exit()
      socket.unref()
      server.unref()
    })`
  for (const how of ['exit', 'idle', 'exit', 'idle']) {
    const worker = new Worker(script, { eval: true, argv: [how] })
    const [code] = await once(worker, 'exit')
    expect(code).toBe(0)
    expect(deathwatchThreads()).toBe(0)
  }
})

import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { expect, it } from 'vitest'

it('leaves nothing of /proc open in workers that are terminated during readSocketOwners', async () => {
  const host = new URL('../../dist/host/index.js', import.meta.url).href
  const scan = `
    const { parentPort } = require('node:worker_threads')
    import('${host}').then(async ({ readSocketOwners }) => {
      parentPort.postMessage('scanning')
      for (;;) await readSocketOwners()
    })`
  for (let round = 0; round < 30; round++) {
    const worker = new Worker(scan, { eval: true })
    await once(worker, 'message')
    // Somewhere else in its scan each time.
    await delay(round / 3)
    await worker.terminate()
  }
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      // The descriptor of this listing itself, closed by now.
      return ''
    }
  })
  expect(targets.filter((target) => /^\/proc\/\d+\/(fd|comm)$/.test(target))).toEqual([])
})

import { once } from 'node:events'
import { expect, it } from 'vitest'
import { watch } from '../../src/index.js'
import { connectPair } from '../support/connections.js'
import { deathwatchThreadIds, noDeathwatchThread } from '../support/deathwatch-thread.mjs'
import { openDescriptors } from '../support/descriptors.js'
import { until } from '../support/until.js'

it('watches successive connections with one thread, which ends after the last connection', async () => {
  const watcher = watch()
  const pairs = await Promise.all(Array.from({ length: 22 }, () => connectPair()))
  const before = openDescriptors()
  const threads = new Set<string>()
  for (const { socket } of pairs.slice(0, 20)) {
    watcher.add(socket)
    for (const id of deathwatchThreadIds()) threads.add(id)
    socket.destroy()
    await until(() => watcher.size === 0)
  }
  expect(threads.size).toBe(1)
  await noDeathwatchThread()
  // Theirs and those of their peers are closed as well.
  expect(openDescriptors()).toBeLessThan(before)

  const [{ socket, peer }, other] = [pairs[20]!, pairs[21]!]
  // Taken out and put in again, it is heard of once.
  watcher.add(socket).delete(socket)
  watcher.add(socket).add(other.socket)
  peer.resetAndDestroy()
  const [death] = await once(watcher, 'dead')
  expect(death).toMatchObject({ socket, reason: 'reset' })
  watcher.close()
  await noDeathwatchThread()
  expect(watcher.stats()).toMatchObject({ dead: 1, closed: 20, removed: 2 })
})

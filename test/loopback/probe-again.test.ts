import { setImmediate as nextTurn } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { expect, it, vi } from 'vitest'
import { BorrowedSocket } from '../../src/connection/borrowed.js'
import { descriptorOf } from '../../src/connection/target.js'
import { borrowSocket } from '../../src/host/index.js'
import { probe, tune, watch } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { connectPair } from '../support/connections.js'
import { awaitIdle, idlePair, kernelOptions, silenceOf } from '../support/idle-connections.js'
import { hasNetAdmin } from '../support/net-admin.js'
import { until } from '../support/until.js'

const turns = vi.hoisted(() => ({ areThere: true }))

vi.mock('../../src/overlay/probe-rate.js', async (original) => {
  const pace = await original<typeof import('../../src/overlay/probe-rate.js')>()
  return { ...pace, takeTurns: (wanted: number) => (turns.areThere ? pace.takeTurns(wanted) : 0) }
})

it('probes a borrowed connection again after a probe that was aborted before it was sent', async () => {
  const { socket } = await idlePair()
  const borrowed = borrowSocket(process.pid, descriptorOf(socket))
  const listeners = process.listenerCount('exit')
  const abort = new AbortController()
  turns.areThere = false
  const first = probe(borrowed, { signal: abort.signal })
  abort.abort()
  expect(await first).toMatchObject({ evidence: 'aborted', attempts: 0 })
  // The probe session has ended then.
  await until(() => process.listenerCount('exit') === listeners)
  const second = probe(borrowed)
  turns.areThere = true
  expect(await second).toMatchObject({ alive: true, evidence: 'ack', attempts: 1 })
})

it('restores the options of a borrowed connection once the process has free descriptors again', async () => {
  const { socket } = await idlePair()
  const before = kernelOptions(socket)
  const answer = probe(borrowSocket(process.pid, descriptorOf(socket)))
  while (kernelOptions(socket).initialDelay === before.initialDelay) await nextTurn()
  const use = vi.spyOn(BorrowedSocket.prototype, 'use').mockImplementation(() => {
    throw Object.assign(new Error('no descriptors'), { code: 'EMFILE' })
  })
  await expect(answer).rejects.toMatchObject({ code: 'EMFILE' })
  await until(() => use.mock.calls.length >= 3)
  expect(kernelOptions(socket)).not.toEqual(before)
  use.mockRestore()
  await until(() => isDeepStrictEqual(kernelOptions(socket), before))
})

it('reads the keepalive timer again after the program has changed it through the descriptor', async () => {
  const { socket } = await connectPair()
  tune(socket, { enable: true, initialDelay: 3_000, interval: 1_000 })
  await awaitIdle(socket)
  expect(await probe(socket)).toMatchObject({ evidence: 'ack' })
  await until(() => silenceOf(socket) >= 2_500)
  tune(descriptorOf(socket), { enable: false })
  tune(descriptorOf(socket), { enable: true })
  // Without the change the kernel would have probed by now. It does so at 5.5 s.
  await until(() => silenceOf(socket) >= 3_200)
  expect(await probe(socket)).toMatchObject({ alive: true, evidence: 'ack', attempts: 1 })
})

it.runIf(hasNetAdmin)('lets a listener for recover call probe', async () => {
  const { socket, peer } = await connectPair()
  using watcher = watch({ heartbeat: { every: 1_000, attempts: 3, timeout: 250 }, onDead: 'report' })
  watcher.on('suspect', () => {})
  const asked = new Promise((resolve) => watcher.once('recover', () => resolve(probe(socket))))
  watcher.add(socket)
  await blackHole(peer, { segments: 1 }).done
  expect(await asked).toMatchObject({ alive: true, evidence: 'recent' })
})

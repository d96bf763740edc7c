import { getEventListeners } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import { untilAborted } from '../../src/options/abort-signal.js'

const never = new Promise<never>(() => {})
const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length

describe('untilAborted', () => {
  it('shares one abort listener among all waits, and removes it when the last wait ends', async () => {
    const { signal } = new AbortController()
    const ends: (() => void)[] = []
    const waits = Array.from({ length: 20 }, (_, i) => {
      const promise = new Promise<number>((resolve) => ends.push(() => resolve(i)))
      return untilAborted(signal, promise, () => {})
    })
    expect(listeners(signal)).toBe(1)
    for (const end of ends.slice(1)) end()
    expect(await Promise.all(waits.slice(1))).toEqual(Array.from({ length: 19 }, (_, i) => i + 1))
    expect(listeners(signal)).toBe(1)
    ends[0]!()
    expect(await waits[0]).toBe(0)
    expect(listeners(signal)).toBe(0)
  })

  it('cancels each wait once at an abort, and rejects with its reason', async () => {
    const controller = new AbortController()
    const cancels = [vi.fn(), vi.fn()]
    const waits = cancels.map((cancel) => untilAborted(controller.signal, never, cancel))
    controller.abort('enough')
    expect(await Promise.allSettled(waits)).toEqual([
      { status: 'rejected', reason: 'enough' },
      { status: 'rejected', reason: 'enough' },
    ])
    for (const cancel of cancels) expect(cancel).toHaveBeenCalledTimes(1)
    expect(listeners(controller.signal)).toBe(0)
  })

  it('does not cancel a wait that has ended', async () => {
    const controller = new AbortController()
    const cancel = vi.fn()
    const failure = new Error('of its own')
    await expect(untilAborted(controller.signal, Promise.reject(failure), cancel)).rejects.toBe(failure)
    expect(listeners(controller.signal)).toBe(0)
    const waiting = untilAborted(controller.signal, never, () => {})
    controller.abort()
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
    expect(cancel).not.toHaveBeenCalled()
  })

  it('treats signals independently', async () => {
    const [one, other] = [new AbortController(), new AbortController()]
    const cancel = vi.fn()
    const waiting = untilAborted(one.signal, never, () => {})
    void untilAborted(other.signal, never, cancel)
    one.abort()
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
    expect(cancel).not.toHaveBeenCalled()
    expect(listeners(other.signal)).toBe(1)
  })
})

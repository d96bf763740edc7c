import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { DueQueue, type Queued } from '../../src/watch/due-queue.js'
import { timed } from '../support/tolerance.js'

interface Item extends Queued<Item> {
  readonly name: string
}

const item = (name: string): Item => ({ name, slot: 0, before: undefined, after: undefined })

/** A schedule that notes who was due, and when. */
function noting(work: () => void = () => {}) {
  const ran: { name: string; at: number }[] = []
  const schedule = new DueQueue<Item>((items) => {
    for (const { name } of items) ran.push({ name, at: performance.now() })
    work()
  })
  return { schedule, ran }
}

describe('DueQueue', () => {
  it('runs each callback once, and not before it is due', async () => {
    const { schedule, ran } = noting()
    const start = performance.now()
    for (const [name, wait] of Object.entries({ soon: 60, later: 200, past: -1_000 })) {
      schedule.at(item(name), start + wait)
    }
    await delay(500)
    expect(ran.map(({ name }) => name)).toEqual(['past', 'soon', 'later'])
    expect(ran[1]!.at).toBeGreaterThanOrEqual(start + 60)
    expect(ran[2]!.at).toBeGreaterThanOrEqual(start + 200)
    if (timed) expect(ran[2]!.at).toBeLessThan(start + 200 + 50 + 100)
  })

  it('runs a moved callback at its new time, and no cancelled callback', async () => {
    const { schedule, ran } = noting()
    const [sooner, later, never, cancelled] = ['sooner', 'later', 'never', 'cancelled'].map(item) as Item[]
    const now = performance.now()
    schedule.at(sooner!, now + 10_000)
    schedule.at(later!, now + 10)
    schedule.at(never!, now + 10)
    schedule.at(cancelled!, now + 10)
    schedule.at(sooner!, now + 20)
    schedule.at(later!, now + 250)
    schedule.at(never!, Number.POSITIVE_INFINITY)
    schedule.cancel(cancelled!)
    schedule.cancel(cancelled!)
    await delay(500)
    expect(ran.map(({ name }) => name)).toEqual(['sooner', 'later'])
    schedule.at(cancelled!, 0)
    await delay(200)
    expect(ran.at(-1)!.name).toBe('cancelled')
  })

  it("runs a millisecond's slice of many due callbacks at each turn of the event loop", async () => {
    // 64 of them take 0.5 ms, all together 50.
    const { schedule, ran } = noting(() => {
      const end = performance.now() + 0.5
      while (performance.now() < end);
    })
    const count = 6_400
    for (let i = 0; i < count; i++) schedule.at(item(String(i)), 0)
    let turns = 0
    const turn = () => {
      if (ran.length > 0) turns++
      if (ran.length < count) setImmediate(turn)
    }
    turn()
    while (ran.length < count) await delay(5)
    expect(new Set(ran.map(({ name }) => name)).size).toBe(count)
    // Two portions a turn, at most: the second may begin before the millisecond is over.
    expect(turns).toBeGreaterThanOrEqual(count / 64 / 3)
  })

  it("runs callbacks that are due later than Node's longest timer", async () => {
    const warnings: Error[] = []
    const onWarning = (warning: Error) => warnings.push(warning)
    process.on('warning', onWarning)
    const { schedule, ran } = noting()
    schedule.at(item('in 25 days'), performance.now() + 2 ** 31 + 1_000)
    await delay(100)
    process.off('warning', onWarning)
    expect([warnings, ran]).toEqual([[], []])
  })

  it('loses no callback when others are moved and cancelled', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'performance'] })
    try {
      const step = fc.record({ who: fc.nat(7), wait: fc.option(fc.integer({ min: 1, max: 400 })) })
      fc.assert(
        fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
          const { schedule, ran } = noting()
          const items = Array.from({ length: 8 }, (_, i) => item(`${i}`))
          const due = new Set<string>()
          for (const { who, wait } of steps) {
            const each = items[who]!
            if (wait === null) schedule.cancel(each)
            else schedule.at(each, performance.now() + wait)
            if (wait === null) due.delete(each.name)
            else due.add(each.name)
          }
          vi.advanceTimersByTime(1_000)
          expect(ran.map(({ name }) => name).sort()).toEqual([...due].sort())
        }),
      )
    } finally {
      vi.useRealTimers()
    }
  })
})

import { vi } from 'vitest'

/** What an event loop does next: whatever is due first, and of what is due together, what was asked for first. */
interface Task {
  readonly at: number
  readonly run: () => void
}

/**
 * Time of which a test decides: the timers of an event loop and its clock. A process that is stopped, or blocked, is time that goes
 * by between two instructions.
 */
export class VirtualTime {
  now = 0
  #tasks: Task[] = []

  /** Goes by without anything being run. */
  pass(ms: number): void {
    this.now += ms
  }

  at(time: number, run: () => void): Task {
    const task = { at: Math.max(time, this.now), run }
    this.#tasks.push(task)
    return task
  }

  cancel(task: unknown): void {
    this.#tasks = this.#tasks.filter((each) => each !== task)
  }

  /** Runs all that is due until then; what is late by then is still run. */
  async runUntil(end: number): Promise<void> {
    for (;;) {
      let next: Task | undefined
      for (const task of this.#tasks) if (!next || task.at < next.at) next = task
      if (!next || next.at > end) break
      this.cancel(next)
      this.now = Math.max(this.now, next.at)
      next.run()
      await undefined
    }
    this.now = Math.max(this.now, end)
  }
}

/** Runs something on virtual time, with nothing left of it afterwards. */
export async function onVirtualTime<T>(time: VirtualTime, run: () => Promise<T>): Promise<T> {
  vi.spyOn(performance, 'now').mockImplementation(() => time.now)
  vi.stubGlobal('setImmediate', (task: () => void) => time.at(time.now, task))
  vi.stubGlobal('setTimeout', (task: () => void, ms: number) =>
    Object.assign(time.at(time.now + Math.max(1, ms), task), { unref() {} }),
  )
  vi.stubGlobal('clearTimeout', (task: unknown) => time.cancel(task))
  try {
    return await run()
  } finally {
    vi.unstubAllGlobals()
    vi.restoreAllMocks()
  }
}

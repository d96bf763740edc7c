import { setTimeout as delay } from 'node:timers/promises'

/** Looks every few ms until something holds; throws after `timeout` ms, so that no test waits for ever. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  timeout = 10_000,
  every = 10,
): Promise<void> {
  const deadline = performance.now() + timeout
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not so after ${timeout} ms: ${holds}`)
    await delay(every)
  }
}

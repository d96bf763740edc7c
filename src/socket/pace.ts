import { setTimeout as delay } from 'node:timers/promises'

/**
 * Settings that make the kernel send a probe are written at a limited rate. A burst of 4,000 overflows the
 * receive backlog of loopback (net.core.netdev_max_backlog, 1,000), and healthy peers look dead.
 */
const BURST = 200
/** One timer tick of the slowest kernels (HZ=100), in ms: what fires together in one tick leaves together. */
export const paceWindow = 10

let windowStart = 0
let used = 0

/** Whether one more probe may leave in this window; counts it if so. */
export function mayFire(): boolean {
  const now = performance.now()
  if (now - windowStart >= paceWindow) {
    windowStart = now
    used = 0
  }
  if (used >= BURST) return false
  used++
  return true
}

/** Resolves once one more probe may leave. */
export async function turnToFire(): Promise<void> {
  while (!mayFire()) await delay(paceWindow)
}

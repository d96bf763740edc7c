import { setTimeout as delay } from 'node:timers/promises'
import { sharedState } from '../kernel/shared-state.js'

/**
 * Limits the rate of writes that make the kernel send a probe. A burst of 4,000 probes overflows the receive backlog of loopback
 * (net.core.netdev_max_backlog, 1,000), and live peers look dead. Timers that are due within one tick fire together. A tick of the slowest
 * kernels (HZ=100) is 10 ms, so at most 850 probes leave together: 10 ms at this rate, and a burst.
 */
const RATE_PER_MS = 65
const BURST = 200

/** How long to wait if no probe may be sent now, in ms. After that, hundreds may be sent. */
export const paceWindow = 10

const rate = sharedState('probeRate', () => ({ turns: BURST, countedAt: 0 }))

/** Reserves up to `wanted` probes. The caller returns those that it does not send. */
export function takeTurns(wanted: number): number {
  const now = performance.now()
  rate().turns = Math.min(BURST, rate().turns + (now - rate().countedAt) * RATE_PER_MS)
  rate().countedAt = now
  const taken = Math.min(wanted, Math.floor(rate().turns))
  rate().turns -= taken
  return taken
}

export function giveBackTurns(unused: number): void {
  rate().turns = Math.min(BURST, rate().turns + unused)
}

/** Whether another probe may be sent now. If so, this counts it. */
export function mayFire(): boolean {
  return takeTurns(1) === 1
}

/** Resolves when another probe may be sent. */
export async function turnToFire(): Promise<void> {
  while (!mayFire()) await delay(paceWindow)
}

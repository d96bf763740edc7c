import { setTimeout as delay } from 'node:timers/promises'

/**
 * What makes the kernel send a probe is written at a limited rate. A burst of 4,000 overflows the receive backlog of loopback
 * (net.core.netdev_max_backlog, 1,000), and healthy peers look dead. Timers that are due within one tick fire together, and a tick
 * of the slowest kernels (HZ=100) is 10 ms: that many ms at this rate, and a burst, are 850.
 */
const RATE_PER_MS = 65
const BURST = 200

/** How long to wait where there is no turn now, in ms: by then there are hundreds. */
export const paceWindow = 10

let turns = BURST
let countedAt = 0

/** Takes as many turns to let a probe leave as there are, `wanted` at most. Those that were not needed go back. */
export function takeTurns(wanted: number): number {
  const now = performance.now()
  turns = Math.min(BURST, turns + (now - countedAt) * RATE_PER_MS)
  countedAt = now
  const taken = Math.min(wanted, Math.floor(turns))
  turns -= taken
  return taken
}

export function giveBackTurns(unused: number): void {
  turns = Math.min(BURST, turns + unused)
}

/** Whether one more probe may leave now; counts it if so. */
export function mayFire(): boolean {
  return takeTurns(1) === 1
}

/** Resolves once one more probe may leave. */
export async function turnToFire(): Promise<void> {
  while (!mayFire()) await delay(paceWindow)
}

/** The kernel's timers are never early, and late by up to an eighth of each wait and a tick; 100 ms for the test's own turn. */
export const latest = (ms: number) => ms * 1.15 + 100

/** A tick, in ms: what the kernel measures silence in (HZ=100). */
export const TICK = 10

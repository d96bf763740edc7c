/** The kernel's timers are never early, and late by up to an eighth of each wait and a tick; 100 ms for the test's own turn. */
export const latest = (ms: number) => (timed ? ms * 1.15 + 100 : Number.POSITIVE_INFINITY)

/** A tick, in ms: what the kernel measures silence in (HZ=100). */
export const TICK = 10

/** Whether times are to be judged: not where everything takes several times as long, as under a sanitizer. */
export const timed = process.env.DEADPEER_TEST_UNTIMED === undefined

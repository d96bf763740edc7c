import type { Range, TimeRange } from '../../options/check.js'

/** `upTo`, in ms. */
export const idleTimes: TimeRange = { min: 2_000, max: 86_400_000 }

/** `connections`: with the one that is probed all the time, and the control connection, at most 64. */
export const connectionCounts: Range = { min: 2, max: 60 }

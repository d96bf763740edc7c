import type { TimeArgumentRange } from './number-argument.js'

/** The time between two samples of the host's connections. Listing tens of thousands of sockets takes 20 ms. */
export const samplingInterval: TimeArgumentRange = { min: 100, max: 86_400_000 }

/**
 * Peers that receive nothing, or not everything, and paths that pass no probes, for your own tests.
 *
 * @module deadpeer/testing
 */

export { blackHole } from './black-hole.js'
export type { BriefBlackHole } from './brief-black-hole.js'
export { deaf } from './deaf.js'
export type { Impairment } from './impairment.js'
export { lossy } from './lossy.js'

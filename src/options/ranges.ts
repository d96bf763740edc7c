import type { Range, TimeRange } from './check.js'

// Ranges that several options objects share, or that the command line uses too.

export const processIds: Range = { min: 1, max: 2 ** 31 - 1 }

export const ports: Range = { min: 1, max: 65_535 }

/** A fraction: 0.25 is a quarter. */
export const shares: Range = { min: 0, max: 1 }

/** `attempts` of a probe or a heartbeat. */
export const probeAttempts: Range = { min: 1, max: 100, why: 'they are at least 510 ms apart' }

/** `timeout` of one attempt. */
export const probeTimeout: TimeRange = { min: 1, max: 60_000, step: 1 }

/** `every` of a heartbeat. */
export const heartbeatInterval: TimeRange = {
  min: 1_000,
  max: 2_147_483_000,
  step: 1_000,
  why: 'TCP_KEEPIDLE takes whole seconds',
}

/** `upTo` of a measurement, in ms. */
export const idleTimes: TimeRange = { min: 2_000, max: 86_400_000 }

/** `connections` of a measurement: with the one that is probed all the time, and the control connection, at most 64. */
export const measuringConnections: Range = { min: 2, max: 60 }

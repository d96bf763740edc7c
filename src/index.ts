/**
 * The verbs, tune, inspect, probe, watch and plan, and what they take and return. All times are in milliseconds.
 *
 * @module deadpeer
 */

export { type Capabilities, capabilities } from './capabilities.js'
export type { Verdict } from './detect/verdict.js'
export {
  DeadpeerError,
  type DeadpeerErrorCode,
  type DeathReason,
  type ErrorDetails,
  InvalidTypeError,
  OutOfRangeError,
  PeerDeathError,
} from './errors.js'
export { type Inspection, inspect } from './inspect.js'
export type { OptionName } from './kernel/options.js'
export { type TcpInfo, type TcpInfoField, TcpState } from './kernel/tcp-info.js'
export { type Plan, type PlanOptions, plan } from './path/planner.js'
export { type ProbeOptions, type ProbeResult, probe, probeAll } from './probe.js'
export { sampleTcpInfo } from './sample-tcp-info.js'
export type { BorrowedSocket } from './socket/borrowed.js'
export { type DetectionTime, type DetectionTimeOptions, detectionTime } from './socket/detection-time.js'
export type { Endpoint } from './socket/endpoints.js'
export { explain, type Warning } from './socket/explain.js'
export type { ServerTarget } from './socket/listening.js'
export { defineProfile, type PresetName, profiles } from './socket/presets.js'
export type { Profile } from './socket/profile.js'
export type { Target } from './socket/target.js'
export { type TuneOptions, type TuneResult, tune, tuneAll } from './tune.js'
export type { HeartbeatOptions } from './watch/heartbeat.js'
export {
  type AddOptions,
  type Closing,
  type Death,
  type OnDead,
  type Recovery,
  type Suspicion,
  type WatchedConnection,
  type Watcher,
  type WatcherEvents,
  type WatchOptions,
  type WatchStats,
  type WatchTarget,
  watch,
} from './watch.js'

/**
 * The functions `tune`, `inspect`, `probe`, `watch` and `plan`, and the types of their arguments and results. All times are in milliseconds.
 *
 * @module deadpeer
 */

export { type Capabilities, capabilities } from './capabilities.js'
export type { BorrowedSocket } from './connection/borrowed.js'
export type { Endpoint } from './connection/endpoints.js'
export type { ServerTarget } from './connection/listening.js'
export type { Target } from './connection/target.js'
export {
  DeadpeerError,
  type DeadpeerErrorCode,
  type DeathReason,
  type ErrorDetails,
  InvalidTypeError,
  OutOfRangeError,
  PeerDeathError,
} from './errors.js'
export { type Inspection, inspect } from './inspect/inspect.js'
export { sampleTcpInfo } from './inspect/sample-tcp-info.js'
export type { Verdict } from './inspect/verdict.js'
export type { OptionName } from './kernel/socket-options.js'
export { type TcpInfo, type TcpInfoField, TcpState } from './kernel/tcp-info.js'
export { type Plan, type PlanOptions, plan } from './path/planner.js'
export { type ProbeOptions, probe, probeAll } from './probe/probe.js'
export type { ProbeResult } from './probe/result.js'
export { type DetectionTime, type DetectionTimeOptions, detectionTime } from './profile/detection-time.js'
export { explain, type Warning } from './profile/explain.js'
export { defineProfile, type PresetName, profiles } from './profile/presets.js'
export type { Profile } from './profile/profile.js'
export type { TuneResult } from './tune/connection.js'
export { type TuneOptions, tune } from './tune/tune.js'
export { tuneAll } from './tune/tune-all.js'
export type {
  Closing,
  Death,
  Recovery,
  Suspicion,
  WatchedConnection,
  WatcherEvents,
} from './watch/events.js'
export type { HeartbeatOptions } from './watch/heartbeat-options.js'
export type { OnDead } from './watch/on-dead.js'
export { watch } from './watch/watch.js'
export type { AddOptions, WatchOptions } from './watch/watch-options.js'
export type { WatchTarget } from './watch/watch-target.js'
export type { Watcher, WatchStats } from './watch/watcher.js'

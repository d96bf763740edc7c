import { OutOfRangeError } from '../errors.js'
import { checkOptions, milliseconds, type Options, whole } from '../options/check.js'
import { heartbeatInterval, probeAttempts, probeTimeout } from '../options/ranges.js'
import type { Heartbeat } from './heartbeat-state.js'

/**
 * Periodic probes, for all connections of {@link watch} or for one.
 *
 * If `every` is from 2 to 16 s, the kernel sends the probes of most idle connections itself. For that, a lower `TCP_KEEPIDLE` and `TCP_KEEPINTVL`
 * (tcp(7)) are in force while the peer answers. {@link inspect} shows them as `inForce`, and the connection's own options as `profile`. With them the
 * connection ends no sooner than by its own options, and at most `every` later. This holds even if this process is stopped for less than 127 ×
 * `every`. If no values guarantee that, the watcher sends the probes itself. Examples are a `userTimeout` without keepalive, and one that is not
 * `initialDelay` plus a multiple of `interval`.
 */
export interface HeartbeatOptions {
  /**
   * A peer is probed when it has not been heard for this time, in ms: 1 000 … 2 147 483 000, in whole seconds like the kernel's timers. The
   * probes are jittered, so that connections that went idle together are not probed together. Above 1 000 a probe is up to a tenth sooner. The
   * second probe comes at a random time, at the earliest 1 s after the last segment.
   */
  every: number
  /** How long each attempt waits for an answer, in ms: 1 … 60 000, and at most `every`; see {@link ProbeOptions}. Default: 300. */
  timeout?: number
  /** How many attempts must go unanswered before the peer is declared dead: 1 … 100, at least 510 ms apart. Default: 3. */
  attempts?: number
}

const heartbeatOptions: Options<HeartbeatOptions> = {
  of: 'a heartbeat',
  example: '{ every: 5_000 }',
  called: 'heartbeat',
  field: 'heartbeat',
  checks: {
    every: milliseconds(heartbeatInterval),
    timeout: milliseconds(probeTimeout),
    attempts: whole(probeAttempts),
  },
  required: ['every'],
  otherNames: { interval: 'every', count: 'attempts', probes: 'attempts', retries: 'attempts' },
}

/** @throws {@link InvalidTypeError}, {@link OutOfRangeError} */
export function checkHeartbeat(options: HeartbeatOptions): Heartbeat {
  const { every, timeout = 300, attempts = 3 } = checkOptions(options, heartbeatOptions)
  if (timeout > every) {
    throw new OutOfRangeError(
      `timeout must be at most \`every\` (${every} ms), because an attempt must be over before the next heartbeat; got ${timeout} ms.`,
      { field: 'timeout' },
    )
  }
  return { every, timeout, attempts }
}

import { OutOfRangeError } from '../errors.js'
import { checkOptions, milliseconds, type Options, whole } from '../options/check.js'
import { heartbeatInterval, probeAttempts, probeTimeout } from '../options/ranges.js'
import type { Heartbeat } from './heartbeat-state.js'

/**
 * A probe on a schedule, for {@link watch} or one connection.
 *
 * If `every` is from 2 to 16 s, the kernel sends the probes of most idle connections itself. For that, a lower `TCP_KEEPIDLE` and
 * `TCP_KEEPINTVL` (tcp(7)) are in force while the peer answers: {@link inspect} shows them as `inForce`, and the connection's own options as
 * `profile`. They are chosen so that the connection ends no sooner than by its own options, and at most `every` later, also while this process
 * is stopped for less than 127 × `every`. If no values promise that (a `userTimeout` without keepalive, or one well below
 * `initialDelay + interval × count`), the watcher sends the probes.
 */
export interface HeartbeatOptions {
  /**
   * A peer that has not been heard for so long is probed, in ms: 1 000 … 2 147 483 000, whole seconds, as the kernel counts. Up to a tenth
   * sooner (above 1 000), at random, and the second time at any moment from a second on, so that connections that went idle together are
   * not probed together.
   */
  every: number
  /** How long each attempt waits for an answer, in ms: 1 … 60 000, `every` at most; see {@link ProbeOptions}. Default: 300. */
  timeout?: number
  /** How many attempts go unanswered before the peer is declared dead: 1 … 100, at least 510 ms apart. Default: 3. */
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

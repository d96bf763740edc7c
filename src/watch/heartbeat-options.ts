import { OutOfRangeError } from '../errors.js'
import { checkOptions, milliseconds, type Options, whole } from '../options/check.js'
import { heartbeatInterval, probeAttempts, probeTimeout } from '../options/ranges.js'
import type { Heartbeat } from './heartbeat-state.js'

/**
 * A question on a schedule, for {@link watch} or one connection.
 *
 * Where `every` is from 2 to 16 s a connection with neither keepalive nor `userTimeout` of its own is lent a clock meanwhile
 * (`TCP_KEEPIDLE` and `TCP_KEEPINTVL`, see tcp(7)), so that the kernel asks by itself: {@link inspect} shows that, with what goes back as
 * `pending`.
 */
export interface HeartbeatOptions {
  /**
   * A peer that has not been heard for so long is asked, in ms: 1 000 … 2 147 483 647. The kernel needs a second of silence to
   * ask. Sooner by up to a tenth (above 1 000), at random, so that not all are asked at once; and
   * the second time at any moment from a second on.
   */
  every: number
  /** How long each attempt waits for an answer, in ms: 1 … 60 000, `every` at most; see {@link ProbeOptions}. Default: 300. */
  timeout?: number
  /** How many go unanswered until the peer is called dead: 1 … 100, at least 510 ms apart. Default: 3. */
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

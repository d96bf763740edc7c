import { RECENT } from '../detect/answer.js'
import type { Heartbeat } from '../detect/pulse.js'
import { InvalidTypeError, OutOfRangeError } from '../errors.js'

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

const LONGEST = 2 ** 31 - 1
const LONGEST_TIMEOUT = 60_000
const MOST_ATTEMPTS = 100

/** @throws {@link InvalidTypeError}, {@link OutOfRangeError} */
export function checkHeartbeat(options: HeartbeatOptions): Heartbeat {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidTypeError('heartbeat must be an object such as { every: 5_000 }.', {
      field: 'heartbeat',
    })
  }
  for (const name of Object.keys(options)) {
    if (name === 'every' || name === 'timeout' || name === 'attempts') continue
    const message = `${name} is no option of a heartbeat. There are: every, timeout, attempts.`
    throw new InvalidTypeError(message, { field: name })
  }
  const { every, timeout = 300, attempts = 3 } = options
  checkWhole(every, RECENT, LONGEST, 'every', 'ms', 'Linux asks no sooner than after a second of silence')
  checkWhole(
    timeout,
    1,
    Math.min(every, LONGEST_TIMEOUT),
    'timeout',
    'ms',
    'an attempt must be over before the next beat',
  )
  checkWhole(attempts, 1, MOST_ATTEMPTS, 'attempts', 'attempts', 'they are at least 510 ms apart')
  return { every, timeout, attempts }
}

function checkWhole(
  value: unknown,
  min: number,
  max: number,
  field: string,
  unit: string,
  why: string,
): void {
  if (typeof value !== 'number') {
    throw new InvalidTypeError(
      `${field} must be a number of ${unit}; it is ${value === null ? 'null' : typeof value}.`,
      {
        field,
      },
    )
  }
  if (Number.isInteger(value) && value >= min && value <= max) return
  throw new OutOfRangeError(
    `${field} is ${value}; it must be a whole number of ${unit} from ${min} to ${max}: ${why}.`,
    { field },
  )
}

import { requireCore } from '../../kernel/binding.js'
import type { MeasuredPath } from '../measured-path.js'
import { checkMeasureOptions, type MeasureOptions } from './options.js'
import { run } from './run.js'

/**
 * Measures what a path does with idle connections and with keepalive probes. It opens connections of its own, at most 64 at a time and 10 a second.
 * It leaves each idle for a different time, probes it, and half-closes it. Whether the other side acknowledges the FIN tells whether the connection
 * still existed. Later rounds narrow the limit to 1 % or 1 s. One connection is probed all the time, which tells whether probes restart the idle time.
 * Takes at most four times the limit, plus 5 s if it is shorter than 30 s; or `upTo` if there is none.
 *
 * The result is also a hop for {@link plan}.
 *
 * @throws (rejects) {@link InvalidTypeError}, {@link OutOfRangeError} for bad options; {@link DeadpeerError} if the first connection fails, with
 * the code of Node (`ECONNREFUSED`, `EHOSTUNREACH`, `ENOTFOUND`, `ETIMEDOUT`, `ECONNRESET`, `EADDRINUSE`); `ERR_NOT_KEPT` if the other end closes it at once or
 * does not keep it after the HTTP response; `ERR_UNSUPPORTED_PLATFORM` without the native core.
 * @example
 * ```ts
 * const measured = await measure({ host: 'db.example.com', port: 5432, upTo: 400_000 })
 * console.log(measured.idleLimit) // { atLeast: 349_100, atMost: 351_900 }
 * const { profile } = plan({ path: [measured] })
 * ```
 */
export async function measure(options: MeasureOptions): Promise<MeasuredPath> {
  const checked = checkMeasureOptions(options)
  const core = requireCore('A measurement')
  return await run(core, checked)
}

import { missingReason } from './kernel/binding.js'
import { canSetNow, type OptionName, optionNames } from './kernel/socket-options.js'
import { nodeCan } from './tune/node-fallback.js'

/** The result of {@link capabilities}. */
export interface Capabilities {
  /** Whether the native core is available. Without it, `tune` uses Node's own `setKeepAlive`. */
  readonly native: boolean
  /** The reason why it is not available. */
  readonly reason?: string
  /**
   * The fields of a profile that this process can set on a TCP socket. Each call tries them on a new socket. `false` if the
   * kernel lacks the option or a sandbox (seccomp) forbids it. `tune` with `bestEffort` leaves out exactly these fields.
   */
  readonly options: Readonly<Record<OptionName, boolean>>
}

/**
 * Reports what this platform, this kernel and this sandbox support.
 *
 * @example
 * ```ts
 * if (!capabilities().options.rtoMax) console.warn('needs Linux 6.15')
 * ```
 */
export function capabilities(): Capabilities {
  const reason = missingReason()
  const native = reason === undefined
  const can = native ? canSetNow : nodeCan
  const options = Object.fromEntries(optionNames.map((name) => [name, can(name)])) as Record<
    OptionName,
    boolean
  >
  return native ? { native, options } : { native, reason, options }
}

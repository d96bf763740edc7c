import { missingReason, nativeCore } from './kernel/binding.js'
import { canSetNow, type OptionName, optionNames } from './kernel/options.js'
import { nodeCan } from './tune/node-fallback.js'

/** What {@link capabilities} found. */
export interface Capabilities {
  /** Whether the native core is there. Without it, tuning goes by Node's own `setKeepAlive`. */
  readonly native: boolean
  /** Why it is not. */
  readonly reason?: string
  /**
   * Which fields of a profile this process can set on a TCP socket, tried on a socket of its own when this is called. `false` where the
   * kernel lacks the option or a sandbox (seccomp) forbids it. `tune` with `bestEffort` leaves out just these.
   */
  readonly options: Readonly<Record<OptionName, boolean>>
}

/**
 * What can be done here: by this platform, this kernel, this sandbox.
 *
 * @example
 * ```ts
 * if (!capabilities().options.rtoMax) console.warn('needs Linux 6.15')
 * ```
 */
export function capabilities(): Capabilities {
  const native = nativeCore() !== undefined
  const can = native ? canSetNow : nodeCan
  const options = Object.fromEntries(optionNames.map((name) => [name, can(name)])) as Record<
    OptionName,
    boolean
  >
  return native ? { native, options } : { native, reason: missingReason()!, options }
}

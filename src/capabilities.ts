import { missingReason, nativeCore } from './kernel/binding.js'
import { type OptionName, optionNames, supportedOptions } from './kernel/options.js'
import { nodeCan } from './socket/with-node.js'

export interface Capabilities {
  /** Whether the native core is there. Without it, tuning goes by Node's own `setKeepAlive`. */
  readonly native: boolean
  /** Why it is not. */
  readonly reason?: string
  /** Which fields of a profile can be set on a TCP socket here. */
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
  if (nativeCore()) return { native: true, options: { ...supportedOptions() } }
  const options = Object.fromEntries(optionNames.map((name) => [name, nodeCan(name)]))
  return { native: false, reason: missingReason()!, options: options as Record<OptionName, boolean> }
}

import { checkOptions, type Options, trueOrFalse } from '../options/check.js'

/** How `tune` and `tuneAll` go about it. */
export interface TuneOptions {
  /**
   * Leave out options that this kernel, socket or platform does not have, and those that a sandbox forbids this process to set: what
   * {@link capabilities} says cannot be set, and what an MPTCP socket lacks. Default: `false`, an error. An option that this process can
   * set, and that is refused on one connection only, is an error either way.
   */
  bestEffort?: boolean
}

const tuneOptions: Options<TuneOptions> = {
  of: 'tune()',
  example: '{ bestEffort: true }',
  checks: { bestEffort: trueOrFalse },
}

export function isBestEffort(options: TuneOptions): boolean {
  return checkOptions(options, tuneOptions).bestEffort ?? false
}

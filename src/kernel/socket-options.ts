import { MEANS_SECONDS } from '../options/check.js'
import { type NativeCore, type NativeProfile, type NativeRefusal, nativeCore } from './binding.js'
import { descriptorError, failureError, isFailure, isShortErrno, isUnsupported } from './failure.js'

/** One socket option of a profile. */
export interface OptionRow {
  /** The kernel's name. */
  readonly constant: string
  /** The man page that describes it. */
  readonly manual: string
  /** What a profile counts in: milliseconds, times, or yes and no. */
  readonly kind: 'ms' | 'count' | 'boolean'
  /** One unit of the kernel in ours: 1000 where the kernel counts whole seconds. */
  readonly unit: number
  /** Both ends of the range, in our unit. */
  readonly min: number
  readonly max: number
  /** What must be so for the option to exist. */
  readonly needs?: string
}

const yesOrNo = { kind: 'boolean', unit: 1, min: 0, max: 1 } as const
const times = { kind: 'count', unit: 1, min: 1, max: 127 } as const
const wholeSeconds = { kind: 'ms', unit: 1000, min: 1000, max: 32_767_000 } as const

/** The options, in the native core's order. native/core/options.cc has the levels and numbers. */
export const optionTable = {
  enable: { constant: 'SO_KEEPALIVE', manual: 'socket(7)', ...yesOrNo },
  initialDelay: { constant: 'TCP_KEEPIDLE', manual: 'tcp(7)', ...wholeSeconds },
  interval: { constant: 'TCP_KEEPINTVL', manual: 'tcp(7)', ...wholeSeconds },
  count: { constant: 'TCP_KEEPCNT', manual: 'tcp(7)', ...times },
  userTimeout: {
    constant: 'TCP_USER_TIMEOUT',
    manual: 'tcp(7)',
    kind: 'ms',
    unit: 1,
    min: 0,
    max: 2 ** 31 - 1,
  },
  synCount: { constant: 'TCP_SYNCNT', manual: 'tcp(7)', ...times },
  rtoMax: {
    constant: 'TCP_RTO_MAX_MS',
    manual: 'linux/tcp.h',
    kind: 'ms',
    unit: 1,
    min: 1000,
    max: 120_000,
    needs: 'Linux 6.15 or newer',
  },
  failOnIcmp: { constant: 'IP_RECVERR', manual: 'ip(7)', ...yesOrNo },
} as const satisfies Record<string, OptionRow>

/** A field of a profile: `enable`, `initialDelay`, `interval`, `count`, `userTimeout`, `synCount`, `rtoMax`, `failOnIcmp`. */
export type OptionName = keyof typeof optionTable

export const optionNames = Object.keys(optionTable) as OptionName[]

/**
 * What the kernel holds, in a profile's units. What a socket or kernel does not have is left out.
 *
 * @inline
 */
export type OptionValues = { [Name in OptionName]?: Name extends 'enable' | 'failOnIcmp' ? boolean : number }

/** Puts values into the native core's form. They must be in range: the facade has checked them. */
export function compileOptions(core: NativeCore, values: OptionValues): NativeProfile {
  const numbers = Float64Array.from(optionNames, (name) => Number(values[name] ?? Number.NaN))
  const compiled = core.compile(numbers)
  if (isFailure(compiled)) throw refusalError(compiled)
  return compiled
}

/** Values in force, read back from the kernel. */
export function readOptions(core: NativeCore, fd: number): OptionValues {
  const numbers = new Float64Array(optionNames.length)
  const failure = core.readOptions(fd, numbers)
  if (failure) throw descriptorError(failure.errno, fd)
  return decodeOptions(numbers, 0)
}

const withShortTimeout = new WeakSet<OptionValues>()

/** Lets a profile have a user timeout below 100 ms, which is refused elsewhere: a socket has it already. */
export function allowShortTimeout(values: OptionValues): void {
  const { userTimeout = 0 } = values
  if (userTimeout > 0 && userTimeout < MEANS_SECONDS) withShortTimeout.add(values)
}

/** Whether a profile with a user timeout below 100 ms was read from a socket. */
export function allowsShortTimeout(values: OptionValues): boolean {
  return withShortTimeout.has(values)
}

/** A row of the native core's, from `at` on; NaN is what the socket does not have. */
export function decodeOptions(numbers: Float64Array, at: number): OptionValues {
  const values: OptionValues = {}
  optionNames.forEach((name, i) => {
    const value = numbers[at + i]!
    if (Number.isNaN(value)) return
    Object.assign(values, { [name]: optionTable[name].kind === 'boolean' ? value !== 0 : value })
  })
  allowShortTimeout(values)
  return values
}

/** The typed error for an option, or a descriptor, that the kernel refused. */
export function refusalError({ errno, option, written = [] }: NativeRefusal, fd?: number): Error {
  if (option === undefined) return descriptorError(errno, fd)
  const field = option as OptionName
  const { constant, needs }: OptionRow = optionTable[field]
  const which = `${field} (${constant})`
  const changed =
    written.length === 0
      ? 'Nothing was changed.'
      : `Written before it, and not taken back: ${written.join(', ')}.`
  return failureError(
    { errno, syscall: 'setsockopt' },
    (name, words) => {
      if (!isUnsupported(name)) return `The kernel refused ${which}: ${words} (${name}). ${changed}`
      const why = needs ? `it needs ${needs}, and a socket that is not MPTCP` : 'MPTCP sockets do not have it'
      return [
        'ERR_UNSUPPORTED_OPTION',
        `This kernel does not have ${which} for this socket: ${words} (${name}); ${why}. ${changed}`,
      ]
    },
    { field, constant, ...(written.length > 0 && { written }) },
  )
}

/** What the kernel said when each option was last tried on a TCP socket of our own: nothing, or a refusal. */
const tried = new Map<OptionName, NativeRefusal | undefined>()

/** Whether this process can set an option on a plain TCP socket. It cannot where the kernel lacks it, or a sandbox forbids it. */
export function canSet(name: OptionName): boolean {
  return tried.has(name) ? tried.get(name) === undefined : canSetNow(name)
}

/** The same, tried again: a sandbox may be in place by now. */
export function canSetNow(name: OptionName): boolean {
  const core = nativeCore()!
  const { kind, max } = optionTable[name]
  const refusal = core.rehearse(compileOptions(core, { [name]: kind === 'boolean' ? true : max }))
  // No socket to try it on, or a shortage, says nothing about the option: connections will show whether it can be set.
  if (refusal && (refusal.option === undefined || isShortErrno(refusal.errno))) {
    return tried.get(name) === undefined
  }
  tried.set(name, refusal)
  return refusal === undefined
}

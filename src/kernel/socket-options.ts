import { MEANS_SECONDS } from '../options/check.js'
import { type NativeCore, type NativeProfile, type NativeRefusal, nativeCore } from './binding.js'
import { descriptorError, failureError, isFailure, isShortErrno, isUnsupported } from './failure.js'

/** One socket option of a profile. */
export interface OptionRow {
  /** The kernel's name. */
  readonly constant: string
  /** The man page that describes it. */
  readonly manual: string
  /** The kind of value in a profile: a time in ms, a number, or true and false. */
  readonly kind: 'ms' | 'count' | 'boolean'
  /** The kernel's unit, expressed in the profile's unit: 1000 if the kernel counts whole seconds. */
  readonly unit: number
  /** The lowest and highest value, in the profile's unit. */
  readonly min: number
  readonly max: number
  /** The requirement of the option, if it has one. */
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
 * Values read from the kernel, in a profile's units. An option that the socket or the kernel does not have is left out.
 *
 * @inline
 */
export type OptionValues = { [Name in OptionName]?: Name extends 'enable' | 'failOnIcmp' ? boolean : number }

/** Converts values to the native core's form. They must be checked before. */
export function compileOptions(core: NativeCore, values: OptionValues): NativeProfile {
  const numbers = Float64Array.from(optionNames, (name) => Number(values[name] ?? Number.NaN))
  const compiled = core.compile(numbers)
  if (isFailure(compiled)) throw refusalError(compiled)
  return compiled
}

/** The values in force, read from the kernel. */
export function readOptions(core: NativeCore, fd: number): OptionValues {
  const numbers = new Float64Array(optionNames.length)
  const failure = core.readOptions(fd, numbers)
  if (failure) throw descriptorError(failure.errno, fd)
  return decodeOptions(numbers, 0)
}

const withShortTimeout = new WeakSet<OptionValues>()

/** Allows a user timeout below 100 ms in a profile that was read from a socket. In other profiles it is refused. */
export function allowShortTimeout(values: OptionValues): void {
  const { userTimeout = 0 } = values
  if (userTimeout > 0 && userTimeout < MEANS_SECONDS) withShortTimeout.add(values)
}

/** Whether a profile may have a user timeout below 100 ms, because it was read from a socket. */
export function allowsShortTimeout(values: OptionValues): boolean {
  return withShortTimeout.has(values)
}

/** Decodes a row of the native core that starts at `at`. NaN: the socket does not have the option. */
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
      : `These options were written before it and not rolled back: ${written.join(', ')}.`
  return failureError(
    { errno, syscall: 'setsockopt' },
    (name, words) => {
      if (!isUnsupported(name)) return `The kernel refused ${which}: ${words} (${name}). ${changed}`
      const why = needs ? `it needs ${needs} and a socket that is not MPTCP` : 'MPTCP sockets do not have it'
      return [
        'ERR_UNSUPPORTED_OPTION',
        `The kernel does not support ${which} on this socket: ${words} (${name}); ${why}. ${changed}`,
      ]
    },
    { field, constant, ...(written.length > 0 && { written }) },
  )
}

/** The result of the last try of each option on a new TCP socket: `undefined` if the kernel accepted it, or its refusal. */
const tried = new Map<OptionName, NativeRefusal | undefined>()

/** Whether this process can set an option on a plain TCP socket. It cannot if the kernel lacks the option, or a sandbox forbids it. */
export function canSet(name: OptionName): boolean {
  return tried.has(name) ? tried.get(name) === undefined : canSetNow(name)
}

/** Tries again whether this process can set an option: a sandbox may have been set up since. */
export function canSetNow(name: OptionName): boolean {
  const core = nativeCore()!
  const { kind, max } = optionTable[name]
  const refusal = core.rehearse(compileOptions(core, { [name]: kind === 'boolean' ? true : max }))
  // If no socket could be opened, or a resource was lacking, the option itself may work: keep the last result.
  if (refusal && (refusal.option === undefined || isShortErrno(refusal.errno))) {
    return tried.get(name) === undefined
  }
  tried.set(name, refusal)
  return refusal === undefined
}

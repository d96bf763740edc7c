import { DeadpeerError, describeErrno } from '../errors.js'
import { MEANS_SECONDS } from '../options/check.js'
import { type NativeCore, type NativeProfile, type NativeRefusal, nativeCore } from './binding.js'
import { isShortErrno } from './shortage.js'

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

/** The options, in the native core's order. native/core/options.cc has the levels and numbers. */
export const optionTable = {
  enable: { constant: 'SO_KEEPALIVE', manual: 'socket(7)', kind: 'boolean', unit: 1, min: 0, max: 1 },
  initialDelay: {
    constant: 'TCP_KEEPIDLE',
    manual: 'tcp(7)',
    kind: 'ms',
    unit: 1000,
    min: 1000,
    max: 32_767_000,
  },
  interval: {
    constant: 'TCP_KEEPINTVL',
    manual: 'tcp(7)',
    kind: 'ms',
    unit: 1000,
    min: 1000,
    max: 32_767_000,
  },
  count: { constant: 'TCP_KEEPCNT', manual: 'tcp(7)', kind: 'count', unit: 1, min: 1, max: 127 },
  userTimeout: {
    constant: 'TCP_USER_TIMEOUT',
    manual: 'tcp(7)',
    kind: 'ms',
    unit: 1,
    min: 0,
    max: 2 ** 31 - 1,
  },
  synCount: { constant: 'TCP_SYNCNT', manual: 'tcp(7)', kind: 'count', unit: 1, min: 1, max: 127 },
  rtoMax: {
    constant: 'TCP_RTO_MAX_MS',
    manual: 'linux/tcp.h',
    kind: 'ms',
    unit: 1,
    min: 1000,
    max: 120_000,
    needs: 'Linux 6.15 or newer',
  },
  failOnIcmp: { constant: 'IP_RECVERR', manual: 'ip(7)', kind: 'boolean', unit: 1, min: 0, max: 1 },
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

/** Takes values over into the native core. They must be in range: the facade has checked them. */
export function compileOptions(core: NativeCore, values: OptionValues): NativeProfile {
  let mask = 0
  const numbers = new Float64Array(optionNames.length)
  optionNames.forEach((name, i) => {
    if (values[name] === undefined) return
    mask |= 1 << i
    numbers[i] = Number(values[name])
  })
  const compiled = core.compile(mask, numbers)
  if (compiled.refusal) throw refusalError(compiled.refusal)
  return compiled.profile
}

/** Values in force, read back from the kernel. */
export function readOptions(core: NativeCore, fd: number): OptionValues {
  const numbers = new Float64Array(optionNames.length)
  const errno = core.readOptions(fd, numbers)
  if (errno !== 0) throw descriptorError(errno, fd)
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

/** Whether a refusal says that the option does not exist there, rather than that it is forbidden. */
function isUnsupported(errno: number): boolean {
  return ['ENOPROTOOPT', 'EOPNOTSUPP', 'ENOTSUP'].includes(describeErrno(errno).name)
}

/** The typed error for a refusal of the native core. */
export function refusalError({ errno, option, written = [] }: NativeRefusal, fd?: number): Error {
  if (option === undefined) return descriptorError(errno, fd)
  const field = option as OptionName
  const row: OptionRow = optionTable[field]
  const { name, words } = describeErrno(errno)
  const changed =
    written.length === 0
      ? 'Nothing was changed.'
      : `Written before it, and not taken back: ${written.join(', ')}.`
  const details = {
    field,
    constant: row.constant,
    errno,
    syscall: 'setsockopt',
    ...(written.length > 0 && { written }),
  }
  const what = `${field} (${row.constant})`
  if (isUnsupported(errno)) {
    const needs = row.needs
      ? `it needs ${row.needs}, and a socket that is not MPTCP`
      : 'MPTCP sockets do not have it'
    return new DeadpeerError(
      'ERR_UNSUPPORTED_OPTION',
      `This kernel does not have ${what} for this socket: ${words} (${name}); ${needs}. ${changed}`,
      details,
    )
  }
  return new DeadpeerError(name, `The kernel refused ${what}: ${words} (${name}). ${changed}`, details)
}

/** The typed error for a descriptor that cannot be asked at all. */
export function descriptorError(errno: number, fd?: number): Error {
  const { name, words } = describeErrno(errno)
  const which = fd === undefined ? 'The descriptor' : `Descriptor ${fd}`
  const details = { errno, syscall: 'getsockopt' }
  switch (name) {
    case 'EBADF':
      return new DeadpeerError('ERR_SOCKET_CLOSED', `${which} is not open (${name}).`, details)
    case 'ENOTSOCK':
      return new DeadpeerError('ERR_NOT_TCP', `${which} is not a socket (${name}).`, details)
    case 'ENOPROTOOPT':
    case 'EOPNOTSUPP':
    case 'ENOTSUP':
      return new DeadpeerError('ERR_NOT_TCP', `${which} is a socket, but not a TCP one (${name}).`, details)
    default:
      return new DeadpeerError(
        name,
        `The kernel will not let this socket be looked at: ${words} (${name}).`,
        details,
      )
  }
}

/** What the kernel said when each option was last tried on a TCP socket of our own: nothing, or a refusal. */
const tried = new Map<OptionName, NativeRefusal | undefined>()

/** Whether this process can set an option on a plain TCP socket: not where the kernel lacks it, or a sandbox forbids it. */
export function canSet(name: OptionName): boolean {
  return tried.has(name) ? tried.get(name) === undefined : canSetNow(name)
}

/** The same, tried anew: a sandbox may have been put in place since. */
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

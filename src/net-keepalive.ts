/**
 * The six functions of the `net-keepalive` package, call for call. For new code there is `tune`.
 *
 * @module deadpeer/net-keepalive
 */

import assert from 'node:assert'
import net from 'node:net'
import { handleOf } from './connection/target.js'
import { describeErrno } from './errors.js'
import { type NativeCore, requireCore } from './kernel/binding.js'
import { type OptionName, optionNames } from './kernel/options.js'

// The interface of the net-keepalive package: its order of arguments, units, return values, truncation, and its errors,
// an AssertionError for a bad call and an errno for what the kernel refuses. For new code there is tune().

/** What the types of that package take. Its functions, and these, throw an AssertionError for what is no `net.Socket`. */
export type NodeJSSocketWithFileDescriptor = net.Socket | { _handle: { _fd: number } }

/**
 * The time between two unanswered probes, `TCP_KEEPINTVL`, in ms; a fraction of a second is dropped.
 *
 * @returns `true`
 * @throws AssertionError for a bad call, or a socket that is not connected. An errno where the kernel refuses:
 * `EINVAL` under 1000 or over 32 767 999.
 * @example
 * ```ts
 * setKeepAliveInterval(socket, 5_000)
 * ```
 */
export const setKeepAliveInterval = setter('setKeepAliveInterval', 'interval', 'msec', 1000)

/**
 * The time between two unanswered probes, `TCP_KEEPINTVL`, in ms.
 *
 * @example
 * ```ts
 * getKeepAliveInterval(socket) // 5000
 * ```
 */
export const getKeepAliveInterval = getter('getKeepAliveInterval', 'interval', 1000)

/**
 * Unanswered probes until the connection is given up, `TCP_KEEPCNT`: 1 … 127. Else as {@link setKeepAliveInterval}.
 *
 * @example
 * ```ts
 * setKeepAliveProbes(socket, 3)
 * ```
 */
export const setKeepAliveProbes = setter('setKeepAliveProbes', 'count', 'cnt', 1)

/**
 * Unanswered probes until the connection is given up, `TCP_KEEPCNT`.
 *
 * @example
 * ```ts
 * getKeepAliveProbes(socket) // 3
 * ```
 */
export const getKeepAliveProbes = getter('getKeepAliveProbes', 'count', 1)

/**
 * How long data may go unacknowledged until the connection is given up, `TCP_USER_TIMEOUT`, in ms; 0 is off. Else as
 * {@link setKeepAliveInterval}.
 *
 * @example
 * ```ts
 * setUserTimeout(socket, 20_000)
 * ```
 */
export const setUserTimeout = setter('setUserTimeout', 'userTimeout', 'msec', 1)

/**
 * How long data may go unacknowledged, `TCP_USER_TIMEOUT`, in ms; 0 is off.
 *
 * @example
 * ```ts
 * getUserTimeout(socket) // 20000
 * ```
 */
export const getUserTimeout = getter('getUserTimeout', 'userTimeout', 1)

/**
 * The six functions as one object, for `import NetKeepAlive from 'deadpeer/net-keepalive'`.
 *
 * @example
 * ```ts
 * import NetKeepAlive from 'deadpeer/net-keepalive'
 *
 * NetKeepAlive.setKeepAliveProbes(socket, 3)
 * ```
 */
export default {
  setKeepAliveInterval,
  getKeepAliveInterval,
  setKeepAliveProbes,
  getKeepAliveProbes,
  setUserTimeout,
  getUserTimeout,
}

function setter(name: string, option: OptionName, argument: string, unit: number) {
  const number = optionNames.indexOf(option)
  const call = (...args: [socket: NodeJSSocketWithFileDescriptor, value: number]): boolean => {
    assert.strictEqual(args.length, 2, `${name} requires two arguments`)
    const [socket, value] = args
    assertSocket(socket, name)
    assert.strictEqual(value?.constructor, Number, `${name} requires ${argument} to be a Number`)
    const fd = descriptor(socket)
    const core = coreOrNone()
    if (!core) return false
    const failure = core.setOption(fd, number, ~~(value / unit))
    if (failure) throw refusal(failure.errno, 'setsockopt')
    return true
  }
  return Object.defineProperty(call, 'name', { value: name })
}

function getter(name: string, option: OptionName, unit: number) {
  const number = optionNames.indexOf(option)
  const call = (...args: [socket: NodeJSSocketWithFileDescriptor]): number => {
    assert.strictEqual(args.length, 1, `${name} requires one arguments`)
    const [socket] = args
    assertSocket(socket, name)
    const fd = descriptor(socket)
    const core = coreOrNone()
    if (!core) return 0
    const value = core.getOption(fd, number)
    if (typeof value === 'object') throw refusal(value.errno, 'getsockopt')
    return value * unit
  }
  return Object.defineProperty(call, 'name', { value: name })
}

function assertSocket(socket: unknown, name: string): asserts socket is net.Socket {
  assert(socket instanceof net.Socket, `${name} expects an instance of socket as its first argument`)
}

function descriptor(socket: net.Socket): number {
  const fd = handleOf(socket)?.fd
  if (process.platform !== 'win32') assert(fd && fd !== -1, 'Unable to get socket fd')
  return fd ?? -1
}

/** On Windows that package does nothing. Elsewhere it does, and so nothing is not what its users expect. */
function coreOrNone(): NativeCore | undefined {
  return process.platform === 'win32' ? undefined : requireCore('This')
}

function refusal(errno: number, syscall: string): Error {
  const { name: code } = describeErrno(errno)
  return Object.assign(new Error(`${syscall} ${code}`), { errno, code, syscall })
}

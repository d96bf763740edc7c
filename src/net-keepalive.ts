/**
 * The six functions of the `net-keepalive` package, compatible with it. In new code, use `tune`.
 *
 * @module deadpeer/net-keepalive
 */

import assert from 'node:assert'
import net from 'node:net'
import { handleOf } from './connection/target.js'
import { describeErrno } from './errors.js'
import { type NativeCore, requireCore } from './kernel/binding.js'
import { type OptionName, optionNames } from './kernel/socket-options.js'

// Compatible with net-keepalive in the order of arguments, units, return values and truncation. Its errors are the same too: an AssertionError for a
// bad call, and an errno if the kernel refuses.

/** The parameter type of `net-keepalive`. Its functions, and these, throw an AssertionError if the value is not a `net.Socket`. */
export type NodeJSSocketWithFileDescriptor = net.Socket | { _handle: { _fd: number } }

/**
 * Sets the time between two unanswered probes, `TCP_KEEPINTVL`, in ms. It drops fractions of a second.
 *
 * @returns `true`
 * @throws AssertionError for a bad call, or a socket that is not connected. An errno if the kernel refuses:
 * `EINVAL` under 1000 or over 32 767 999.
 * @example
 * ```ts
 * setKeepAliveInterval(socket, 5_000)
 * ```
 */
export const setKeepAliveInterval = setter('setKeepAliveInterval', 'interval', 'msec', 1000)

/**
 * Reads the time between two unanswered probes, `TCP_KEEPINTVL`, in ms.
 *
 * @example
 * ```ts
 * getKeepAliveInterval(socket) // 5000
 * ```
 */
export const getKeepAliveInterval = getter('getKeepAliveInterval', 'interval', 1000)

/**
 * Sets the number of unanswered probes after which the kernel ends the connection, `TCP_KEEPCNT`: 1 … 127. Otherwise like
 * {@link setKeepAliveInterval}.
 *
 * @example
 * ```ts
 * setKeepAliveProbes(socket, 3)
 * ```
 */
export const setKeepAliveProbes = setter('setKeepAliveProbes', 'count', 'cnt', 1)

/**
 * Reads the number of unanswered probes after which the kernel ends the connection, `TCP_KEEPCNT`.
 *
 * @example
 * ```ts
 * getKeepAliveProbes(socket) // 3
 * ```
 */
export const getKeepAliveProbes = getter('getKeepAliveProbes', 'count', 1)

/**
 * Sets how long data may go unacknowledged before the kernel ends the connection, `TCP_USER_TIMEOUT`, in ms. 0: off. Otherwise like
 * {@link setKeepAliveInterval}.
 *
 * @example
 * ```ts
 * setUserTimeout(socket, 20_000)
 * ```
 */
export const setUserTimeout = setter('setUserTimeout', 'userTimeout', 'msec', 1)

/**
 * Reads how long data may go unacknowledged, `TCP_USER_TIMEOUT`, in ms. 0: off.
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

type Call<Args extends unknown[], Result> = (
  ...args: [socket: NodeJSSocketWithFileDescriptor, ...Args]
) => Result

function setter(name: string, option: OptionName, argument: string, unit: number): Call<[number], boolean> {
  const number = optionNames.indexOf(option)
  return named(name, (...args: unknown[]) => {
    assert.strictEqual(args.length, 2, `${name} requires two arguments`)
    const [socket, value] = args as [unknown, number]
    assertSocket(socket, name)
    assert.strictEqual(value?.constructor, Number, `${name} requires ${argument} to be a Number`)
    const fd = descriptor(socket)
    const core = coreOrNone()
    if (!core) return false
    const failure = core.setOption(fd, number, ~~(value / unit))
    if (failure) throw refusal(failure.errno, 'setsockopt')
    return true
  })
}

function getter(name: string, option: OptionName, unit: number): Call<[], number> {
  const number = optionNames.indexOf(option)
  return named(name, (...args: unknown[]) => {
    assert.strictEqual(args.length, 1, `${name} requires one arguments`)
    const [socket] = args
    assertSocket(socket, name)
    const value = coreOrNone()?.getOption(descriptor(socket), number) ?? 0
    if (typeof value === 'object') throw refusal(value.errno, 'getsockopt')
    return value * unit
  })
}

function named<Function extends object>(name: string, call: Function): Function {
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

/** `undefined` on Windows, where `net-keepalive` does nothing. */
function coreOrNone(): NativeCore | undefined {
  return process.platform === 'win32' ? undefined : requireCore('deadpeer/net-keepalive')
}

function refusal(errno: number, syscall: string): Error {
  const { name: code } = describeErrno(errno)
  return Object.assign(new Error(`${syscall} ${code}`), { errno, code, syscall })
}

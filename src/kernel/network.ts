import { constants } from 'node:os'
import { DeadpeerError } from '../errors.js'
import type { NativeCore } from './binding.js'
import { defaultsFrom, readDefaults, type SystemDefaults, sysctlNames } from './defaults.js'

/**
 * Which network namespace a socket is in, by its cookie. `undefined` where the kernel does not tell, before Linux 5.14: the namespace of
 * this process is taken then. -errno for what is no socket.
 */
export function networkOf(core: NativeCore, fd: number): bigint | number | undefined {
  const cookie = core.readNetworkCookie(fd)
  return cookie === -constants.errno.ENOPROTOOPT ? undefined : cookie
}

/**
 * The sysctls of the network namespace that a socket was found in; `undefined` where they cannot be read.
 *
 * @param withSocket calls what it is given with the socket's descriptor, and throws where there is none any more. Only a namespace other
 * than this thread's needs it.
 */
export function readDefaultsOf(
  core: NativeCore,
  network: bigint | number | undefined,
  withSocket: <T>(read: (fd: number) => T) => T,
): SystemDefaults | undefined {
  try {
    if (network === undefined || network === core.readOwnNetworkCookie()) return readDefaults()
    return withSocket((fd) => (networkOf(core, fd) === network ? readByThread(core, fd) : undefined))
  } catch (error) {
    if (error instanceof DeadpeerError) return undefined
    throw error
  }
}

function readByThread(core: NativeCore, fd: number): SystemDefaults | undefined {
  const texts = core.readSysctlsOf(fd, sysctlNames)
  if (typeof texts === 'number') return undefined
  const byName = new Map(sysctlNames.map((name, i) => [name, texts[i]]))
  return defaultsFrom((name) => byName.get(name))
}

import { describeErrno } from '../errors.js'
import type { NativeCore } from './binding.js'

/**
 * Takes `SO_ERROR`, socket(7), of a connection that the kernel has ended (state CLOSE), by name. `undefined` where there is none, or
 * the connection has not ended. It is there once: taking it takes it away from Node.
 */
export function takeSocketError(core: NativeCore, fd: number): string | undefined {
  const errno = core.takeSocketError(fd)
  return errno === 0 ? undefined : describeErrno(errno).name
}

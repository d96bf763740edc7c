import type { NativeCore } from '../kernel/binding.js'
import { examine, type SocketName, writeKeepalive } from '../kernel/liveness.js'
import { COUNT_MAX } from './guard.js'
import { endLoan, keepLifted, liftedBy } from './lifted.js'

// A connection without keepalive of its own that would be asked again and again is lent a clock: then the kernel asks by itself, and all that
// is left to do is to see now and then that it was answered.

/**
 * Makes the kernel ask after each `clock` ms of silence, whole seconds. Returns whether it does: not where a connection has a keepalive of
 * its own or a `userTimeout`, which an unanswered probe would make deadly; is MPTCP's; or has options lifted or lent already.
 */
export function lend(core: NativeCore, socket: SocketName, clock: number): boolean {
  if (liftedBy(socket.cookie)) return false
  const [seen] = examine(core, [socket])
  if (typeof seen !== 'object') return false
  const own = seen.options
  if (own.enable || own.userTimeout !== 0) return false
  const written = { enable: true, initialDelay: clock, interval: clock, count: COUNT_MAX, userTimeout: 0 }
  if (writeKeepalive(core, [{ socket, before: own, wanted: written }], false)[0]) return false
  keepLifted({
    cookie: socket.cookie,
    nextKept: undefined,
    own,
    written,
    clock: undefined,
    unanswered: 0,
    asking: false,
    isLent: true,
  })
  return true
}

/** The connection has its own options again, where it was lent others. */
export function giveBack(core: NativeCore, { cookie, fd }: SocketName): void {
  const entry = liftedBy(cookie)
  if (entry?.isLent) endLoan(core, entry, fd)
}

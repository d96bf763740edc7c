import { type BorrowedSocket, DeadpeerError, type Profile } from '../../../index.js'
import { type NativeCore, nativeCore } from '../../../kernel/binding.js'
import { type OptionName, optionNames, optionTable, readOptions } from '../../../kernel/socket-options.js'
import { readTcpInfo } from '../../../kernel/tcp-info.js'
import { rehearseOrRefuse } from '../../../overlay/apply-or-defer.js'
import { type Compiled, compile, leavingOut, rehearse } from '../../../profile/compile.js'
import { stepsAhead } from '../../../tune/in-steps.js'

/** What `tuneAll` would come to for a borrowed connection, as that is now. */
export interface Forecast {
  /** Why it would be refused, and nothing be set. */
  readonly error?: Error
  /** Values that could end the connection as it is: they are written once the peer has been heard, or left out. */
  readonly awaiting?: Profile
  /** Whether the peer owes an answer already: then it is not to be expected in time. */
  readonly isUnanswered?: boolean
}

/**
 * What tuning these connections would come to, one each. Writes nothing, and asks no peer.
 *
 * @throws what `tuneAll` would throw, as for an option that this kernel does not have.
 */
export function forecastAll(sockets: readonly BorrowedSocket[], profile: Profile): Forecast[] {
  const compiled = compile(profile, false)!
  rehearse(compiled)
  return sockets.map((socket) => forecast(socket, compiled))
}

function forecast(socket: BorrowedSocket, compiled: Compiled): Forecast {
  const core = nativeCore()!
  try {
    return socket.use((fd) => {
      const attempt = (leaveOut: readonly OptionName[]) =>
        attemptOn(core, fd, leaveOut.length > 0 ? leavingOut(compiled, leaveOut) : compiled)
      const awaiting = stepsAhead(compiled.profile, attempt)
      return awaiting ? { awaiting, isUnanswered: isUnanswered(core, fd) } : {}
    })
  } catch (error) {
    return { error: error as Error }
  }
}

function attemptOn(core: NativeCore, fd: number, { profile, native }: Compiled): void {
  const lacking = lackedBy(core, fd, profile)
  if (lacking) {
    throw new DeadpeerError(
      'ERR_UNSUPPORTED_OPTION',
      `This socket does not have ${lacking} (${optionTable[lacking].constant}), as MPTCP sockets do not. Nothing was changed.`,
      { field: lacking, constant: optionTable[lacking].constant },
    )
  }
  if (core.wouldHold(fd, native)) rehearseOrRefuse(core, fd, profile)
}

/** The kernel has it, as it was rehearsed; this kind of socket does not. */
function lackedBy(core: NativeCore, fd: number, profile: Profile): OptionName | undefined {
  const current = readOptions(core, fd)
  return optionNames.find((name) => profile[name] !== undefined && current[name] === undefined)
}

function isUnanswered(core: NativeCore, fd: number): boolean {
  const { probes, retransmits, backoff } = readTcpInfo(core, fd)
  return probes > 0 || retransmits > 0 || backoff > 0
}

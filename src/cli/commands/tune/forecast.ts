import { type BorrowedSocket, DeadpeerError, type Profile } from '../../../index.js'
import { type NativeCore, nativeCore } from '../../../kernel/binding.js'
import { type OptionName, optionNames, optionTable, readOptions } from '../../../kernel/socket-options.js'
import { readTcpInfo } from '../../../kernel/tcp-info.js'
import { rehearseOrRefuse } from '../../../overlay/apply-or-defer.js'
import { type Compiled, compile, leavingOut, rehearse } from '../../../profile/compile.js'
import { stepsAhead } from '../../../tune/in-steps.js'

/** What `tuneAll` would do to a borrowed connection in its present state. */
export interface Forecast {
  /** Why the kernel would refuse it. Nothing would be set. */
  readonly error?: Error
  /** Values that could end the connection now. They would be written after the peer is heard, or left out. */
  readonly awaiting?: Profile
  /** Whether a probe or data is unacknowledged already. The peer is then not expected to respond in time. */
  readonly isUnanswered?: boolean
}

/**
 * Predicts what tuning would do, one forecast for each connection. Writes nothing and probes no peer.
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

/** The first option that this kind of socket lacks. The kernel itself has them all: `rehearse` has checked that. */
function lackedBy(core: NativeCore, fd: number, profile: Profile): OptionName | undefined {
  const current = readOptions(core, fd)
  return optionNames.find((name) => profile[name] !== undefined && current[name] === undefined)
}

function isUnanswered(core: NativeCore, fd: number): boolean {
  const { probes, retransmits, backoff } = readTcpInfo(core, fd)
  return probes > 0 || retransmits > 0 || backoff > 0
}

import { borrowSocket, type SocketOwner, type SocketRecord } from '../../host/index.js'
import {
  DeadpeerError,
  type DeathReason,
  type Inspection,
  inspect,
  type Profile,
  TcpState,
} from '../../index.js'
import { timeLeft } from '../../profile/time-left.js'
import { causeOf } from '../../watch/cause.js'

/** A connection with an unacknowledged probe or data, as it was last sampled. */
export interface Suspect {
  readonly record: SocketRecord
  readonly owners: readonly SocketOwner[]
  /** Its options; `undefined` if this user may not read them. */
  readonly profile: Profile | undefined
  /** When it was sampled, on performance.now(). */
  readonly sampledAt: number
}

export interface Ending {
  readonly event: 'dead' | 'gone'
  readonly reason?: DeathReason
  readonly evidence: string
  /** Whether its program has closed it; `undefined` if this user may not see the program. */
  readonly isNoticed?: boolean
}

/** The kernel's timers may be late by an eighth, and a list takes some ms. */
const LATE = 1.125
const SLACK = 250

/**
 * Finds out how a suspect ended that the kernel does not list any more. The kernel keeps no record of the reason. So the reason comes from
 * the last counters if the program still has the socket open, or else from the last sample.
 *
 * @returns `undefined` if the connection is still there and the list has missed it.
 */
export function endingOf(suspect: Suspect, now: number): Ending | undefined {
  const { record, profile = {}, owners } = suspect
  const last = inspectIfOpen(suspect)
  if (last && last.info?.state !== TcpState.CLOSE) return undefined
  const isNoticed = owners.length === 0 ? {} : { isNoticed: last === undefined }
  if (!isDue(suspect, now)) {
    return { event: 'gone', evidence: 'reset by the peer, or closed by its program', ...isNoticed }
  }
  const info = last?.info ?? record.info!
  return {
    event: 'dead',
    ...causeOf({ info: { ...info, state: TcpState.CLOSE }, profile: last?.profile ?? profile }),
    ...isNoticed,
  }
}

/** Whether the kernel's timer can have ended the connection since: it runs, and has retransmitted if it is the one for data. */
function isDue({ record, profile, sampledAt }: Suspect, now: number): boolean {
  const { info, timer, expires = 0, retries } = record
  if (timer === 'off' || (timer !== 'keepalive' && retries === 0)) return false
  const latest = (now - sampledAt) * LATE + SLACK
  const left = info && profile && timer === 'keepalive' ? timeLeft(info, profile, record) : undefined
  return (left?.isExact ? left.ms : expires) <= latest
}

/** The socket's last state, if its program still has it open. */
function inspectIfOpen({ record, owners: [owner] }: Suspect): Inspection | undefined {
  if (!owner) return undefined
  try {
    const socket = borrowSocket(owner.pid, owner.fd)
    return socket.cookie === record.cookie ? inspect(socket) : undefined
  } catch (error) {
    if (error instanceof DeadpeerError) return undefined
    throw error
  }
}

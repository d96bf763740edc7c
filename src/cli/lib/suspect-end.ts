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

/** A connection that has something unanswered, as it was last seen. */
export interface Suspect {
  readonly record: SocketRecord
  readonly owners: readonly SocketOwner[]
  /** Its options, where they may be read. */
  readonly profile: Profile | undefined
  /** On performance.now(). */
  readonly seenAt: number
}

export interface Ending {
  readonly event: 'dead' | 'gone'
  readonly reason?: DeathReason
  readonly evidence: string
  /** Whether its program has closed it; `undefined` where that cannot be seen. */
  readonly isNoticed?: boolean
}

/** Later than it should be: an eighth, as the kernel's timers may be, and some ms for a list to be made. */
const LATE = 1.125
const SLACK = 250

/**
 * What became of a suspect that is on the kernel's list no more. Where its program still has it open, the kernel's last counters tell; or
 * else its last sighting. The kernel keeps no record of why. `undefined`: it stands, and the list has passed it over.
 */
export function endingOf(suspect: Suspect, now: number): Ending | undefined {
  const { record, profile = {}, owners } = suspect
  const last = lookAfterwards(suspect)
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

/** Whether the kernel's own clock can have ended it since: where it runs, and was not just starting on data. */
function isDue({ record, profile, seenAt }: Suspect, now: number): boolean {
  const { info, timer, expires = 0, retries } = record
  if (timer === 'off' || (timer !== 'keepalive' && retries === 0)) return false
  const latest = (now - seenAt) * LATE + SLACK
  const left = info && profile && timer === 'keepalive' ? timeLeft(info, profile, record) : undefined
  return (left?.isExact ? left.ms : expires) <= latest
}

/** What the kernel has left of it, where it is still open. */
function lookAfterwards({ record, owners: [owner] }: Suspect): Inspection | undefined {
  if (!owner) return undefined
  try {
    const socket = borrowSocket(owner.pid, owner.fd)
    return socket.cookie === record.cookie ? inspect(socket) : undefined
  } catch (error) {
    if (error instanceof DeadpeerError) return undefined
    throw error
  }
}

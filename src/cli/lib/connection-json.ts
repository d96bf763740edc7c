import type { SocketOwner } from '../../host/index.js'
import type { Profile } from '../../index.js'
import type { Connection } from './selection.js'

/** A connection with its profile; `undefined` if this user may not read it. */
export type WithProfile = Connection & { readonly profile: Profile | undefined }

/** A connection in the output of --json and --jsonl. Times in ms; unknown values are left out. */
export interface ConnectionJson {
  readonly processes: readonly SocketOwner[]
  readonly [field: string]: unknown
}

/** The JSON of one connection. */
export function connectionJson({
  record,
  owners,
  verdict,
  evidence,
  silentFor,
  counters,
  profile,
}: WithProfile): ConnectionJson {
  const { family, state, local, remote, timer, expires, retries, receiveQueue, sendQueue } = record
  const { uid, inode, cookie, interface: index } = record
  return {
    ...{ family, state, local, remote, timer, expires, retries, receiveQueue, sendQueue },
    ...{ uid, inode, cookie: cookie.toString(), interface: index },
    processes: owners,
    verdict,
    evidence,
    silentFor,
    probes: counters?.probes,
    retransmits: counters?.retransmits,
    totalRetrans: counters?.totalRetrans,
    rtt: counters && counters.rtt / 1_000,
    profile,
  }
}

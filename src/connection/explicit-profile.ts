import type { Profile } from '../profile/profile.js'
import { BorrowedSocket } from './borrowed.js'
import { recordOf } from './record.js'
import { socketNow, type Target, unwrap } from './target.js'

let isWanted = false

/** Has explicit profiles recorded from now on. `deadpeer/register` does not undo them. */
export function recordExplicitProfiles(): void {
  isWanted = true
}

/**
 * Records the profiles that the program sets by its own calls. To be called once the connection is tuned or is sure to be. A target without a connection is
 * reported again when it has one.
 */
export function noteExplicitProfile(target: Target, profile: Profile): void {
  if (!isWanted || typeof target === 'number' || target instanceof BorrowedSocket) return
  const socket = socketNow(target)
  if (!socket) return
  const record = recordOf(unwrap(socket))
  const { explicitProfile: earlier } = record
  record.explicitProfile = earlier && earlier !== profile ? { ...earlier, ...profile } : profile
}

import { sharedState } from '../kernel/shared-state.js'
import type { Profile } from '../profile/profile.js'
import { BorrowedSocket } from './borrowed.js'
import { recordOf } from './record.js'
import { socketNow, type Target, unwrap } from './target.js'

const explicit = sharedState('explicitProfiles', () => ({ areRecorded: false }))

/** Starts recording explicit profiles, so that `deadpeer/register` does not overwrite them. */
export function recordExplicitProfiles(): void {
  explicit().areRecorded = true
}

/**
 * Records a profile that the program has set by its own call. Called once the connection is tuned or certain to be. A target without a connection
 * is reported again when it has one.
 */
export function noteExplicitProfile(target: Target, profile: Profile): void {
  if (!explicit().areRecorded || typeof target === 'number' || target instanceof BorrowedSocket) return
  const socket = socketNow(target)
  if (!socket) return
  const record = recordOf(unwrap(socket))
  const { explicitProfile: earlier } = record
  record.explicitProfile = earlier && earlier !== profile ? { ...earlier, ...profile } : profile
}

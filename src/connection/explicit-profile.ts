import net from 'node:net'
import type { Profile } from '../profile/profile.js'
import { BorrowedSocket } from './borrowed.js'
import { socketNow, type Target, unwrap } from './target.js'

/** What the program has chosen for a connection, or for what a server accepts. */
export type Chosen = (target: net.Socket | net.Server, profile: Profile) => void

let hearer: Chosen | undefined

/** Has somebody told of what the program tunes of its own accord: who tunes behind its back is not to undo that. */
export function hearChosen(hear: Chosen): void {
  hearer = hear
}

/** To be called once it is tuned, or is sure to be. A target that has no connection yet is reported once it has. */
export function tellChosen(target: Target | net.Server, profile: Profile): void {
  if (!hearer || typeof target === 'number' || target instanceof BorrowedSocket) return
  const owner = target instanceof net.Server ? target : socketNow(target)
  if (owner) hearer(owner instanceof net.Server ? owner : unwrap(owner), profile)
}

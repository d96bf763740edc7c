export interface Profile {
  readonly enable: boolean
  readonly initialDelay: number
  readonly interval: number
  readonly count: number
  readonly userTimeout: number
}
export interface Ending {
  readonly at: number
  readonly silence: number
  readonly noticedWithin: number
  readonly code: string
}
export interface Pair {
  readonly profile: Profile
  readonly every: number
  readonly wroteAt: number | undefined
  readonly tested: Ending | undefined
  readonly twin: Ending | undefined
  readonly survived: number
  readonly wasPending: boolean
}
export interface Verdict {
  readonly isCompared: boolean
  readonly lead?: number
  readonly fault?: string
  readonly isExcused?: boolean
}
export const SLACK: { readonly share: number; readonly fixed: number }
export function judgePair(pair: Pair): Verdict
export function leastWait(profile: Profile, isInFlight: boolean): number
export function nominalWait(profile: Profile, isInFlight: boolean): number
export function isTossUp(profile: Profile): boolean

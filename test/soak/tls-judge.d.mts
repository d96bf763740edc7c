import type { Entry } from './judge.mjs'

export interface TlsJudgement {
  readonly connections: number
  readonly fates: Record<string, number>
  readonly told: Record<string, { within: number; times: number[] }>
  readonly faults: {
    readonly id: string
    readonly fault: string
    readonly fate?: string
    readonly side?: string
    readonly error?: string
  }[]
  readonly errors: Record<string, number>
  readonly excused: number
  readonly filled: number
}
export function judgeTls(entries: readonly Entry[], raisedByNode?: Record<string, number>): TlsJudgement
export function errorsOf(entries: readonly Entry[]): Record<string, number>

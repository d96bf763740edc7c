export interface Entry {
  readonly at: number
  readonly id: string
  readonly event: string
  readonly detail: string
}
export interface Judgement {
  readonly connections: number
  readonly fates: Record<string, number>
  readonly told: Record<string, { within: number; times: number[] }>
  readonly faults: { readonly id: string; readonly fault: string; readonly fate?: string }[]
  readonly excused: number
  /** Later than their bound, by no more than there was no processor. */
  readonly delayed: number
  readonly doubts: { suspect: number; ofHealthy: number }
}
export function judge(entries: readonly Entry[]): Judgement

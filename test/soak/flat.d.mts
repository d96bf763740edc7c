export interface Growth {
  readonly key: string
  readonly name: string
  readonly first: number
  readonly last: number
  readonly grownBy: number
  readonly allowed: number
}
export function growth(samples: readonly ({ at: number } & Record<string, number>)[]): Growth[]

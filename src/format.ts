/** 1 probe, 2 probes. */
export function times(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`
}

/** 1.5 s. */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

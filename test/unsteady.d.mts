export function listedUnsteady(text?: string): { test: string; since: string; reason: string }[]
export function judgeFailure(
  test: string,
  failedAlone: boolean,
  listed?: readonly { readonly test: string }[],
  listedOnly?: boolean,
): { isFailure: boolean; label: string }

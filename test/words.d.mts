export interface Text {
  readonly file: string
  readonly line: number
  /** `document`, `table`, `tsdoc`, `comment`, `help`, `error`, `string` or `title`. */
  readonly kind: string
  readonly text: string
}

export interface Finding {
  readonly file: string
  readonly line: number
  readonly found: string
  readonly advice: string
}

export interface Exception {
  readonly file: string
  /** Part of what is found, or '' for all of the file. */
  readonly text: string
  readonly reason: string
}

export interface Part {
  readonly kind: string
  readonly line: number
  readonly text: string
}

export const rules: readonly {
  readonly words: RegExp
  readonly advice: string
  readonly strict?: boolean
}[]
export const allowed: readonly Exception[]
export function texts(): Text[]
export function findings(
  all?: readonly Text[],
  options?: { strict?: boolean; exceptions?: readonly Exception[] },
): Finding[]
export function unusedExceptions(all?: readonly Text[], exceptions?: readonly Exception[]): Exception[]
export function partsOf(source: string): Part[]

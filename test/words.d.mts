export interface Text {
  readonly file: string
  readonly line: number
  /** `document`, `table`, `comment`, `string` or `title`. */
  readonly kind: string
  readonly text: string
}

export interface Finding {
  readonly file: string
  readonly line: number
  readonly found: string
  readonly advice: string
}

export const rules: readonly { readonly words: RegExp; readonly advice: string }[]
export function texts(): Text[]
export function findings(all?: readonly Text[]): Finding[]

export const exceptions: readonly { readonly name: RegExp; readonly licence: string; readonly why: string }[]
export function judgeLicences(
  packages: readonly {
    readonly name: string
    readonly version: string
    readonly licence: string | undefined
    readonly isRuntime: boolean
  }[],
): string[]
export function isPermissive(expression: string): boolean
export function licenceOf(manifest: { license?: unknown; licenses?: unknown }): string | undefined

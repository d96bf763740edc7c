/** Aligns rows in columns, two spaces apart. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => rows.reduce((most, row) => Math.max(most, row[i]!.length), 0))
  return rows.map((row) =>
    row
      .map((word, i) => word.padEnd(widths[i]!))
      .join('  ')
      .trimEnd(),
  )
}

import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const jsonFile = fileURLToPath(new URL('../../../bench-results.json', import.meta.url))

const columns = [
  ['row', (row) => row.name],
  ['ours', (row) => quantity(row.ours, row.unit)],
  ['reference', (row) => row.against && [quantity(row.reference, row.unit), row.against].join('  ').trim()],
  ['against it', ({ value, toReach }) => value !== undefined && `${toReach.number(value)} ${toReach.unit}`],
  [
    'p10 – p90',
    ({ spread, samples, toReach }) =>
      samples > 1 && `${toReach.number(spread.p10)} – ${toReach.number(spread.p90)}`,
  ],
  ['to reach', (row) => row.toReach.text],
  ['verdict', (row) => row.verdict],
]

export function printTable(results) {
  const lines = [columns.map(([title]) => title), ...results.map(cellsOf)]
  const widths = columns.map((_, column) => Math.max(...lines.map((cells) => cells[column].length)))
  for (const cells of lines) {
    console.log(
      cells
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    )
  }
}

function cellsOf(row) {
  return columns.map(([, cell]) => cell(row) || '—')
}

function quantity(value, unit) {
  if (value === undefined) return ''
  const digits = value >= 100 || Number.isInteger(value) ? 0 : 1
  return `${value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })} ${unit}`
}

export function writeJson(machine, results) {
  const rows = results.map(({ toReach, error, ...row }) => ({ ...row, toReach: toReach.text }))
  writeFileSync(jsonFile, `${JSON.stringify({ date: new Date(), machine, rows }, null, 2)}\n`)
}

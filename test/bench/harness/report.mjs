import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { drawChart } from './chart.mjs'

const file = (path) => fileURLToPath(new URL(`../../../${path}`, import.meta.url))

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
  writeFileSync(
    file('bench-results.json'),
    `${JSON.stringify({ date: new Date(), machine, rows }, null, 2)}\n`,
  )
}

/** docs/benchmarks.md and the drawing in it, of all rows. */
export function writeDocument(machineLine, results) {
  const date = new Date().toISOString().slice(0, 10)
  const lines = [columns.map(([title]) => title), columns.map(() => '---'), ...results.map(cellsOf)]
  const table = lines.map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
  writeFileSync(file('docs/benchmarks.svg'), drawChart(results, `${date}, ${machineLine}`))
  writeFileSync(
    file('docs/benchmarks.md'),
    `# Benchmarks

\`npm run bench\` measures each figure beside a reference that it builds or runs itself, in the same run: a loop in C that is compiled on the spot,
Node's own call, the net-keepalive and agentkeepalive packages, \`ss\`. What counts is the ratio. A row that falls short stays as it is. This page is
written by \`npm run bench -- --write\`.

![deadpeer beside Node, agentkeepalive, net-keepalive and ss](benchmarks.svg)

Measured on ${date}: ${machineLine}.

${table.join('\n')}

ours, reference: medians. p10 – p90: of the ratio, over all samples. For rows about CPU and delay the reference is the same program without what is measured.
`,
  )
}

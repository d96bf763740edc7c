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

/** How to run what takes minutes. It stands on the same page, which is written anew each time. */
const guide = `## The long measurements

Each needs Linux, root (or unprivileged user namespaces), and a machine that does nothing else. The exit code is 1 if something does not hold.

| command | shows | takes |
| --- | --- | --- |
| \`npm run bench\` | this table; \`npm run bench -- heartbeat\` measures the rows with that in their name, \`--write\` all of them into this page | 35 min |
| \`npm run soak -- 600\` | 9,000 connections that end and are replaced at random, heartbeats of 2 to 16 s among them: none lost, false, wrong or late; memory flat | 13 min |
| \`node test/soak/twins.mjs --minutes 10\` | 400 connections that are tuned, probed and watched beside 400 untouched twins, over a path that fails at random: none ends before its twin, none later than one heartbeat | 10 min |
| \`node test/soak/broadcast.mjs\` | 9,000 connections with a heartbeat of 5 s that all receive a broadcast every 7 s: no false suspicion, no burst of probes above the receive backlog | 3 min |

\`--seed n\` repeats the random choices of a soak. The twins need \`python3\`, \`nft\` and \`ip\`. Tuning's idle rows have a C loop as reference that makes the
same system calls: one \`getsockopt(TCP_INFO)\` and five \`setsockopt\` for each socket.
`

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

${guide}`,
  )
}

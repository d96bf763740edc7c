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

/** How to run what takes minutes: the end of the page, which is written anew each time. */
const guide = `## How to reproduce these figures, and run the long tests

Run these commands in a clone of the repository. Each command requires Linux, root (or unprivileged user namespaces), and an otherwise idle machine. The exit code is 1 if a claim does not hold. A row
of the table that falls short does not change the exit code.

| command | shows | takes |
| --- | --- | --- |
| \`npm run bench\` | this table. \`npm run bench -- heartbeat\` measures only the rows that have "heartbeat" in their name. \`npm run bench -- --write\` measures all rows and writes this page | 35 min |
| \`npm run soak -- 600\` | 9,000 connections that end and are replaced at random, some with heartbeats of 2 to 16 s. No reported death is missing, false, wrong or late, and memory does not grow | 13 min |
| \`node test/soak/twins.mjs --minutes 10\` | 400 connections that are tuned, probed and watched over a path that fails at random, each with an identical connection that is left alone. No connection ends before its counterpart, or later than it by more than one heartbeat | 10 min |
| \`node test/soak/broadcast.mjs\` | 9,000 connections with a heartbeat of 5 s that all receive data every 7 s. No live peer is suspected, and no burst of probes exceeds the receive backlog | 3 min |

\`--seed n\` repeats the random choices of the soak and of \`twins.mjs\`. \`twins.mjs\` requires \`python3\`, \`nft\` and \`ip\`.
`

/** docs/benchmarks.md and the drawing in it, of all rows. */
export function writeDocument(machineLine, results) {
  const date = new Date().toISOString().slice(0, 10)
  const goals = results.filter(({ toReach }) => toReach.text !== 'for comparison')
  const reached = goals.filter(({ verdict }) => verdict === 'reached')
  const lines = [columns.map(([title]) => title), columns.map(() => '---'), ...results.map(cellsOf)]
  const table = lines.map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
  writeFileSync(file('docs/benchmarks.svg'), drawChart(results, `${date}, ${machineLine}`))
  writeFileSync(
    file('docs/benchmarks.md'),
    `# Benchmarks: deadpeer beside Node, net-keepalive, agentkeepalive, ss and C

deadpeer reaches ${reached.length} of ${goals.length} goals. The table also has the rows that fall short of their goal.

\`npm run bench\` measures deadpeer and a reference in the same run, so compare the ratios, not the times. The references are a loop in C that the run compiles, Node's own
calls, the net-keepalive and agentkeepalive packages, and \`ss\`. \`npm run bench -- --write\` writes this page.

![deadpeer beside Node, agentkeepalive, net-keepalive and ss](benchmarks.svg)

Measured on ${date}: ${machineLine}.

${table.join('\n')}

- **ours** and **reference** are the medians of deadpeer and of the reference. In rows about CPU and delay, the reference is the same program without deadpeer.
- **against it** is the ratio or the difference of the two, in the unit of the goal.
- **p10 – p90** are the 10th and 90th percentiles of that ratio or difference across all samples.
- **to reach** is the goal. Rows without a goal are marked "for comparison".
- \`tune\` reads \`TCP_INFO\` before it tunes a connection that may have been idle for over a second. In those rows, the loop in C makes the same system calls for each socket: one
  \`getsockopt(TCP_INFO)\` and five \`setsockopt\`.

${guide}`,
  )
}

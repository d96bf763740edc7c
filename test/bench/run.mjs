import { parseArgs } from 'node:util'
import { rows as exportRows } from './export.mjs'
import { closeConnections } from './harness/loopback.mjs'
import { machine, machineLine } from './harness/machine.mjs'
import { printTable, writeDocument, writeJson } from './harness/report.mjs'
import { measureRow } from './harness/row.mjs'
import { rows as heartbeatRows } from './heartbeat.mjs'
import { rows as importRows } from './import.mjs'
import { rows as listSocketsRows } from './list-sockets.mjs'
import { rows as poolRaceRows } from './pool-race.mjs'
import { rows as probeRows } from './probe.mjs'
import { rows as registerRows } from './register.mjs'
import { rows as sampleRows } from './sample-tcp-info.mjs'
import { rows as shellRows } from './shell.mjs'
import { rows as tuneRows } from './tune.mjs'
import { rows as tuneIdleRows } from './tune-idle.mjs'
import { rows as tuneServerRows } from './tune-server.mjs'
import { rows as watchRows } from './watch.mjs'

// node test/bench/run.mjs [part of a row's name]
// node test/bench/run.mjs --write: all rows, into docs/benchmarks.md as well
// Rows that fall short are printed as they are; only a row that breaks is a failure.

const { values: options, positionals } = parseArgs({
  options: { write: { type: 'boolean', default: false } },
  allowPositionals: true,
})
const filter = positionals[0] ?? ''
if (options.write && filter) throw new Error('--write takes all rows: half a document is none.')
const all = [
  ...tuneRows,
  ...tuneServerRows,
  ...sampleRows,
  ...tuneIdleRows,
  ...probeRows,
  ...heartbeatRows,
  ...listSocketsRows,
  ...watchRows,
  ...shellRows,
  ...exportRows,
  ...poolRaceRows,
  ...registerRows,
  ...importRows,
]
const rows = all.filter(({ name }) => name.includes(filter))
if (rows.length === 0) throw new Error(`No row has '${filter}' in its name.`)

const results = []
for (const row of rows) {
  console.error(`… ${row.name}`)
  results.push(await measureRow(row))
}
await closeConnections()

console.error()
printTable(results)
console.log(`\n${machineLine()}`)
writeJson(machine, results)
if (options.write) writeDocument(machineLine(), results)

for (const { name, error } of results.filter((result) => result.error)) {
  console.error(`\n${name}:`, error)
  process.exitCode = 1
}

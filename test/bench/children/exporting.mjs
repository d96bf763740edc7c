import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

// Has other processes open so many connections, and scrapes `deadpeer export`. Prints, of each scrape, the longest turn of its event loop, and
// the same of a pause as long in which nobody scrapes; how long it took; and how long the answer was.

const pathOf = (relative) => fileURLToPath(new URL(relative, import.meta.url))
const shell = pathOf('../../../dist/cli/main.js')

const connections = Number(process.argv[2])

// A process may have about 20,000 descriptors.
const HOLDERS = 2
const SCRAPES = 15
const WARM_UP = 3

/**
 * Says what the longest turn of the event loop was since it was last asked, in ms of processor time: what else this machine is busy with is not
 * its fault. Goes round and round meanwhile, so that every turn is one.
 */
const sayLongestTurn = `
  import { writeSync } from 'node:fs'
  const spent = () => {
    const { user, system } = (process.threadCpuUsage ?? process.cpuUsage)()
    return (user + system) / 1e3
  }
  let last = spent()
  let longest = 0
  const turn = () => {
    const now = spent()
    longest = Math.max(longest, now - last)
    last = now
    setImmediate(turn).unref()
  }
  turn()
  process.on('SIGUSR2', () => {
    writeSync(3, longest + '\\n')
    longest = 0
  })`

const holders = Array.from({ length: HOLDERS }, () =>
  spawn(process.execPath, [pathOf('holding-connections.mjs'), connections / HOLDERS], {
    stdio: ['pipe', 'pipe', 'inherit'],
  }),
)
await Promise.all(holders.map(({ stdout }) => once(stdout, 'data')))

const args = ['--import', `data:text/javascript,${encodeURIComponent(sayLongestTurn)}`, shell, 'export']
// By itself it looks at nothing meanwhile.
const exporter = spawn(process.execPath, [...args, '--listen', '0', '--every', '1d'], {
  stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
})
const [listening] = await once(exporter.stdout, 'data')
const url = /http:\S+/.exec(listening)[0]

async function longestTurn() {
  const said = once(exporter.stdio[3], 'data')
  exporter.kill('SIGUSR2')
  return Number((await said)[0])
}

const samples = { scraped: [], idle: [], ms: [], kilobytes: [] }
for (let scrape = -WARM_UP; scrape < SCRAPES; scrape++) {
  await longestTurn()
  const start = performance.now()
  const text = await (await fetch(url)).text()
  const ms = performance.now() - start
  const scraped = await longestTurn()
  await delay(ms)
  const idle = await longestTurn()
  const [, alive] = /state="established",verdict="alive",process="node"} (\d+)/.exec(text)
  assert.ok(Number(alive) >= 2 * connections)
  if (scrape < 0) continue
  samples.scraped.push(scraped)
  samples.idle.push(idle)
  samples.ms.push(ms)
  samples.kilobytes.push(text.length / 1e3)
}
console.log(JSON.stringify(samples))
exporter.kill('SIGINT')
for (const holder of holders) holder.stdin.end()

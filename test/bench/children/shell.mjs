import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

// Has another process open so many connections, and runs the shell beside it. Prints the samples as JSON. Needs a network namespace of its
// own: connections of others are looked at as well.

const pathOf = (relative) => fileURLToPath(new URL(relative, import.meta.url))
const shell = pathOf('../../../dist/cli/main.js')

const [, , way, connections, ...flags] = process.argv
const sockets = 2 * Number(connections)

const RUNS = 9
const SETTLE = 2_000
const WATCHED = 20_000

/** Says its highest resident set when it ends. */
const sayMemory =
  'import{writeSync}from"node:fs";process.on("exit",()=>writeSync(3,String(process.resourceUsage().maxRSS)))'

async function list() {
  const start = performance.now()
  const args = ['--import', `data:text/javascript,${sayMemory}`, shell, 'ls', ...flags]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit', 'pipe'] })
  let lines = 0
  let kilobytes = ''
  child.stdout.on('data', (chunk) => {
    for (const byte of chunk) lines += Number(byte === 10)
  })
  child.stdio[3].on('data', (chunk) => {
    kilobytes += chunk
  })
  await once(child, 'close')
  assert.equal(lines, sockets + 1)
  return { ms: performance.now() - start, mb: Number(kilobytes) / 1e3 }
}

/** Of one core, while nothing happens, in per cent. */
async function watchCpu() {
  const child = spawn(process.execPath, [shell, 'watch', '--jsonl'], { stdio: ['ignore', 'pipe', 'inherit'] })
  await delay(SETTLE)
  const before = cpuOf(child.pid)
  await delay(WATCHED)
  const used = cpuOf(child.pid) - before
  child.kill('SIGINT')
  await once(child, 'close')
  return (100 * used) / WATCHED
}

/** ms of processor time so far: utime and stime, in ticks of 10 ms. */
function cpuOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/.*\) /, '').split(' ')
  return 10 * (Number(fields[11]) + Number(fields[12]))
}

const holder = spawn(process.execPath, [pathOf('holding-connections.mjs'), connections], {
  stdio: ['pipe', 'pipe', 'inherit'],
})
await once(holder.stdout, 'data')
const samples = []
if (way === 'watch') samples.push(await watchCpu())
else for (let run = 0; run < RUNS; run++) samples.push((await list())[way])
console.log(JSON.stringify(samples))
holder.stdin.end()

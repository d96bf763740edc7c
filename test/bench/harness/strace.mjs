import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { NotMeasured } from './row.mjs'

/**
 * Counts those system calls of a Node program, and of its threads, that `trace` names, as strace writes it. `drive` gets
 * the lines that the program prints, as an async iterator, and has it do its work.
 */
export async function countSystemCalls(trace, program, drive) {
  const folder = await mkdtemp(join(tmpdir(), 'deadpeer-bench-'))
  try {
    const summary = join(folder, 'strace')
    await runTraced(['-f', '-c', '-e', `trace=${trace}`, '-o', summary, process.execPath, ...program], drive)
    return totalCalls(await readFile(summary, 'utf8'))
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function runTraced(options, drive) {
  const strace = spawn('strace', options, { stdio: ['ignore', 'pipe', 'pipe'] })
  const complaint = text(strace.stderr)
  try {
    await once(strace, 'spawn')
  } catch (error) {
    throw new NotMeasured(error.code === 'ENOENT' ? 'strace is not installed' : error.message)
  }
  const ended = once(strace, 'close')
  await drive(createInterface(strace.stdout)[Symbol.asyncIterator]())
  const [code] = await ended
  if (code !== 0) throw new NotMeasured(`strace: ${(await complaint).trim().split('\n')[0]}`)
}

/** The last line of the summary: % time, seconds, microseconds a call, calls, errors, 'total'. */
function totalCalls(summary) {
  const total = summary.trim().split('\n').at(-1).trim().split(/\s+/)
  if (total.at(-1) !== 'total') throw new Error(`strace's summary has no total:\n${summary}`)
  return Number(total[3])
}

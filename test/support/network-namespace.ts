import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { leaveOut } from './skip-reason.js'

/** Whether this process may make network namespaces; where not, says so once. */
export const hasNamespaces = spawnSync('unshare', ['-n', 'ip', 'link', 'set', 'lo', 'up']).status === 0
if (!hasNamespaces) leaveOut('no network namespace to be had (unshare -n, ip)')

/** Runs a script of test/netns/fixtures in a network namespace of its own. Returns what it prints. */
export function runInside(script: string, ...args: string[]): Promise<string> {
  return run(script, ['-n', process.execPath, pathOf(script), ...args])
}

const CHILD_TABLE = '/proc/sys/net/ipv4/tcp_child_ehash_entries'

/** Whether a namespace can have a hash table of its own for its connections (Linux 6.1). */
export const hasOwnTables = hasNamespaces && existsSync(CHILD_TABLE)

/** The same in a namespace whose hash table has so few buckets. */
export function runWithBuckets(buckets: number, script: string, ...args: string[]): Promise<string> {
  // A namespace takes it from the one that it was made in.
  const inOuter = `echo ${buckets} >${CHILD_TABLE} && exec unshare -n "$@"`
  return run(script, ['-n', 'sh', '-c', inOuter, 'sh', process.execPath, pathOf(script), ...args])
}

const pathOf = (script: string) => fileURLToPath(new URL(`../netns/fixtures/${script}`, import.meta.url))

async function run(script: string, unshare: string[]): Promise<string> {
  const child = spawn('unshare', unshare, { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    output += chunk
  })
  const code = await new Promise((resolve) => child.once('close', resolve))
  if (code !== 0) throw new Error(`${script} ended with ${code}`)
  return output
}

/** The same of one that prints JSON. */
// biome-ignore lint/suspicious/noExplicitAny: JSON of a fixture
export async function runInNamespace(script: string): Promise<any> {
  return JSON.parse(await runInside(script))
}

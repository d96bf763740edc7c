import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { leaveOut } from '../leave-out.js'

/** Whether this process may make network namespaces; where not, says so once. */
export const hasNamespaces = spawnSync('unshare', ['-n', 'ip', 'link', 'set', 'lo', 'up']).status === 0
if (!hasNamespaces) leaveOut('no network namespace to be had (unshare -n, ip)')

/** Runs a script of fixtures/ in a network namespace of its own. Returns what it prints. */
export async function runInside(script: string, ...args: string[]): Promise<string> {
  const path = fileURLToPath(new URL(`fixtures/${script}`, import.meta.url))
  const child = spawn('unshare', ['-n', process.execPath, path, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
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

import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Whether this process may make network namespaces; where not, says so once. */
export const hasNamespaces = spawnSync('unshare', ['-n', 'ip', 'link', 'set', 'lo', 'up']).status === 0
if (!hasNamespaces) console.log('# skipped: no network namespace to be had (unshare -n, ip)')

/** Runs a fixture in a network namespace of its own, and returns the JSON that it prints. */
// biome-ignore lint/suspicious/noExplicitAny: JSON of a fixture
export async function runInNamespace(fixture: string): Promise<any> {
  const script = fileURLToPath(new URL(`fixtures/${fixture}`, import.meta.url))
  const child = spawn('unshare', ['-n', process.execPath, script], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk) => (output += chunk))
  const code = await new Promise((resolve) => child.once('close', resolve))
  if (code !== 0) throw new Error(`the scenario ended with ${code}`)
  return JSON.parse(output)
}

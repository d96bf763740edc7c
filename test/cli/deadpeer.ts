import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

export interface Run {
  readonly code: number | null
  readonly out: string[]
  readonly err: string[]
  readonly took: number
}

export interface RunOptions {
  readonly before?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  /** Ctrl-C after the first line that contains this. */
  readonly interruptAt?: string
}

/** Runs the shell as a newcomer does: in a process of its own, built (npm run build:ts). */
export async function deadpeer(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  const [file, ...rest] = [...(options.before ?? []), process.execPath, program, ...args]
  const start = performance.now()
  const child = spawn(file!, rest, {
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
    if (options.interruptAt && out.includes(options.interruptAt)) child.kill('SIGINT')
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, out: lines(out), err: lines(err), took: performance.now() - start }
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}

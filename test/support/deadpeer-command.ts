import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export const program = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

export interface Run {
  readonly code: number | null
  readonly out: string[]
  readonly err: string[]
  readonly took: number
  /** When it first printed something, in ms since it was started. */
  readonly firstWord: number | undefined
}

export interface RunOptions {
  readonly before?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  /** Ctrl-C after the first line that contains this. */
  readonly interruptAt?: string
  /** Ctrl-C then. Is told how to see what has been printed so far, on stdout and on stderr. */
  readonly interruptWhen?: (out: () => string[], err: () => string[]) => Promise<void>
  /** Typed once this is asked. */
  readonly answers?: readonly [question: string, answer: string]
}

/** Runs the shell as a newcomer does: in a process of its own, built (npm run build:ts). */
export async function deadpeer(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  return start([...(options.before ?? []), process.execPath, program, ...args], options)
}

async function start(command: readonly string[], options: RunOptions): Promise<Run> {
  const [file, ...rest] = command
  const began = performance.now()
  const child = spawn(file!, rest, {
    env: { ...process.env, ...options.env },
    stdio: [options.answers ? 'pipe' : 'ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let firstWord: number | undefined
  let err = ''
  const [question, answer] = options.answers ?? []
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    out += text
    firstWord ??= performance.now() - began
    if (question && out.includes(question) && child.stdin?.writable) child.stdin.end(answer)
    if (options.interruptAt && out.includes(options.interruptAt)) child.kill('SIGINT')
  })
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  const interrupting = options
    .interruptWhen?.(
      () => lines(out),
      () => lines(err),
    )
    .finally(() => child.kill('SIGINT'))
  const [[code]] = await Promise.all([once(child, 'close') as Promise<[number | null]>, interrupting])
  return { code, out: lines(out), err: lines(err), took: performance.now() - began, firstWord }
}

/**
 * The same in a terminal of its own (script(1)); what it shows there is `out`, stderr included. Ctrl-C is typed, so that it goes the
 * way of the terminal: as `answers`, `\x03`.
 */
export async function inTerminal(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  // As a person's has it; CI has none, and some set NO_COLOR.
  const env = { TERM: 'xterm', NO_COLOR: '', ...options.env }
  const command = [process.execPath, program, ...args].map((word) => `'${word}'`).join(' ')
  return start(['script', '-qec', `stty rows 40 cols 200; exec ${command}`, '/dev/null'], { ...options, env })
}

/** Runs a command line in a shell where `deadpeer` is this one, as a user pastes it. */
export function runPasted(command: string): { status: number | null; output: string } {
  const script = `deadpeer() { "$NODE" "$DEADPEER" "$@"; }; ${command}`
  const { status, stdout, stderr } = spawnSync('sh', ['-c', script], {
    encoding: 'utf8',
    env: { ...process.env, NODE: process.execPath, DEADPEER: program },
  })
  return { status, output: `${stdout}${stderr}` }
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}

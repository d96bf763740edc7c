import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { basename } from 'node:path'
import { isatty } from 'node:tty'
import { fileURLToPath } from 'node:url'
import { describeErrno, InvalidTypeError } from '../../../errors.js'
import { nativeCore } from '../../../kernel/binding.js'
import { readSettings } from '../../../register/settings.js'
import { complain } from '../../lib/terminal.js'
import { Misuse } from '../../lib/usage.js'

export interface RunOptions {
  readonly profile?: string
  readonly path?: string
  readonly rules?: string
  readonly watch?: true | 'report'
}

/** The same exit codes as in env(1), nice(1) and shells. */
const NOT_EXECUTABLE = 126
const NOT_FOUND = 127

/**
 * Starts a command with deadpeer/register in NODE_OPTIONS. On Linux the command takes the place of this process: its pid, exit code and signals
 * are the command's own. Returns the exit code where that is not so.
 */
export async function runCommand(command: readonly string[], options: RunOptions): Promise<number> {
  const [file = ''] = command
  if (/^(bunx?|deno)$/.test(basename(file))) {
    throw new Misuse(
      `${basename(file)} does not read NODE_OPTIONS, so deadpeer/register cannot be loaded there. Call tune or watch, or use HttpAgent, in the program instead.`,
    )
  }
  Object.assign(process.env, environmentFor(options))
  const core = nativeCore()
  if (!core) return spawnAndWait(command)
  const args = Buffer.from(command.map((word) => `${word}\0`).join(''))
  return failed(file, core.exec(args, lastDescriptor()).errno)
}

/** The variables that register reads, checked here so that a mistake is reported before the program starts. */
function environmentFor({ profile, path, rules, watch }: RunOptions): Record<string, string> {
  const chosen = {
    ...(profile !== undefined && { DEADPEER_PROFILE: profile }),
    ...(path !== undefined && { DEADPEER_PATH: path }),
    ...(rules !== undefined && { DEADPEER_RULES: rules }),
    ...(watch !== undefined && { DEADPEER_WATCH: watch === true ? '1' : watch }),
  }
  try {
    readSettings({ ...process.env, ...chosen })
  } catch (error) {
    throw new InvalidTypeError(inOptionNames((error as Error).message, chosen))
  }
  return { ...chosen, NODE_OPTIONS: nodeOptions() }
}

function inOptionNames(message: string, chosen: object): string {
  return message.replace(/DEADPEER_(PROFILE|PATH|RULES)/g, (variable, option: string) =>
    variable in chosen ? `--${option.toLowerCase()}` : variable,
  )
}

/**
 * Loads deadpeer/register by its absolute path, so that it loads in every working directory. It uses `--require`, because with any `--import` Node 20
 * loses messages that are sent to a cluster worker at `'online'`.
 */
function nodeOptions(): string {
  // From dist/chunks, where the build puts this file.
  const path = fileURLToPath(new URL('../register.js', import.meta.url))
  const quoted = /[\s"\\]/.test(path) ? `"${path.replace(/["\\]/g, '\\$&')}"` : path
  const { NODE_OPTIONS: earlier = '' } = process.env
  return `${earlier} --require ${quoted}`.trim()
}

/** Sockets that systemd passes (sd_listen_fds(3)) follow the three standard streams. */
function lastDescriptor(): number {
  const { LISTEN_FDS, LISTEN_PID } = process.env
  return 2 + (LISTEN_PID === String(process.pid) ? Number(LISTEN_FDS) || 0 : 0)
}

function failed(file: string, errno: number): number {
  const { name, words } = describeErrno(errno)
  complain(`'${file}' cannot be started: ${words} (${name})`)
  return name === 'ENOENT' ? NOT_FOUND : NOT_EXECUTABLE
}

const forwarded = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'] as const

/** A terminal sends these to the whole process group, the child included. */
const typed = new Set<string>(['SIGINT', 'SIGQUIT'])

/** Without the native core the command runs as a child, and its exit code or signal is passed on. */
async function spawnAndWait([file = '', ...args]: readonly string[]): Promise<number> {
  const child = spawn(file, args, { stdio: 'inherit' })
  const forward = (signal: NodeJS.Signals) => {
    if (!(isatty(0) && typed.has(signal))) child.kill(signal)
  }
  if (process.platform !== 'win32') for (const signal of forwarded) process.on(signal, forward)
  return new Promise((resolve) => {
    child.on('error', ({ errno = 0 }: NodeJS.ErrnoException) => resolve(failed(file, errno)))
    child.on('exit', (code, signal) => {
      for (const each of forwarded) process.off(each, forward)
      if (signal) process.kill(process.pid, signal)
      // Reached only if this process survives the signal.
      resolve(code ?? 128 + constants.signals[signal!])
    })
  })
}

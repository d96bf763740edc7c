import { interruptible } from './interrupt.js'
import { orUsageError } from './usage.js'

/** Runs a command and sets the exit code. */
export async function run(command: () => number | Promise<number>): Promise<void> {
  process.exitCode = await orUsageError(command)
}

/** Like {@link run}, for a command that Ctrl-C ends early, through the signal. */
export function runInterruptible(command: (signal: AbortSignal) => Promise<number>): Promise<void> {
  return run(() => interruptible(command))
}

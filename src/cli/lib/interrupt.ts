import os from 'node:os'

const interrupts = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** A signal's number above 128, as a shell reports it. */
export function exitCodeOf(signal: NodeJS.Signals): number {
  return 128 + os.constants.signals[signal]
}

/** Calls back for each Ctrl-C and its like, which then do not end the process. Returns what undoes that. */
export function onInterrupt(callback: (signal: NodeJS.Signals) => void): () => void {
  for (const signal of interrupts) process.on(signal, callback)
  return () => {
    for (const signal of interrupts) process.off(signal, callback)
  }
}

/** That somebody wants a command to end before its time. */
export interface Interruption {
  readonly signal: AbortSignal
  /** What the process ends with then. */
  readonly exitCode: number
  /** From now on a Ctrl-C ends the process again. */
  forget(): void
}

/** Listens for Ctrl-C and its like, and for a reader of our output that is gone (`| head`). */
export function listenForInterrupts(): Interruption {
  const controller = new AbortController()
  let exitCode = 0
  const interrupt = (signal: NodeJS.Signals) => {
    if (controller.signal.aborted) return
    exitCode = exitCodeOf(signal)
    controller.abort()
  }
  const undo = onInterrupt(interrupt)
  // Stays: without a listener a late EPIPE would be thrown.
  process.stdout.on('error', () => interrupt('SIGPIPE'))
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode
    },
    forget: undo,
  }
}

/** Runs a command that Ctrl-C ends early, by the signal. Returns its exit code, or what the process ends with then. */
export async function interruptible(run: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const interruption = listenForInterrupts()
  const { signal } = interruption
  try {
    const code = await run(signal)
    return signal.aborted ? interruption.exitCode : code
  } catch (error) {
    if (signal.aborted && error === signal.reason) return interruption.exitCode
    throw error
  } finally {
    interruption.forget()
  }
}

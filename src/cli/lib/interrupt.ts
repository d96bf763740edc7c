import os from 'node:os'

const interrupts = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** The exit code that a shell reports for a signal: its number above 128. */
export function exitCodeOf(signal: NodeJS.Signals): number {
  return 128 + os.constants.signals[signal]
}

/** Calls back for SIGINT, SIGTERM and SIGHUP, which then do not end the process. The returned function undoes that. */
export function onInterrupt(callback: (signal: NodeJS.Signals) => void): () => void {
  for (const signal of interrupts) process.on(signal, callback)
  return () => {
    for (const signal of interrupts) process.off(signal, callback)
  }
}

/** A request to end a command early. */
export interface Interruption {
  readonly signal: AbortSignal
  /** The exit code of the process then. */
  readonly exitCode: number
  /** After this call Ctrl-C ends the process again. */
  forget(): void
}

/** Listens for SIGINT, SIGTERM and SIGHUP, and for the end of the reader of our output (`| head`). */
export function listenForInterrupts(): Interruption {
  const controller = new AbortController()
  let exitCode = 0
  const interrupt = (signal: NodeJS.Signals) => {
    if (controller.signal.aborted) return
    exitCode = exitCodeOf(signal)
    controller.abort()
  }
  const undo = onInterrupt(interrupt)
  // This listener stays: without one, a late EPIPE would be thrown.
  process.stdout.on('error', () => interrupt('SIGPIPE'))
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode
    },
    forget: undo,
  }
}

/** Runs a command that Ctrl-C ends early through the signal. Returns the exit code. */
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

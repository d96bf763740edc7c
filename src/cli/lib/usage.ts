import { DeadpeerError, InvalidTypeError, OutOfRangeError } from '../../index.js'
import { complain, firstLine } from './terminal.js'

/** As for grep and most other commands: 1 is an answer, 2 is bad input. */
export const USAGE_ERROR = 2

/** The command cannot do what the user asked for, and changed nothing. */
export class Misuse extends Error {}

/** Runs a command. Reports in one line what the command or the library refused. Returns the exit code. */
export async function orUsageError(run: () => number | Promise<number>): Promise<number> {
  try {
    return await run()
  } catch (error) {
    if (!refusals.some((refusal) => error instanceof refusal)) throw error
    complain(firstLine((error as Error).message))
    return USAGE_ERROR
  }
}

const refusals = [Misuse, DeadpeerError, InvalidTypeError, OutOfRangeError]

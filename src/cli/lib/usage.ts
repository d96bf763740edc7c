import { DeadpeerError, InvalidTypeError, OutOfRangeError } from '../../index.js'
import { complain, firstLine } from './terminal.js'

/** As grep and most others have it: 1 is an answer, 2 is a misunderstanding. */
export const USAGE_ERROR = 2

/** What was asked for cannot be done, and nothing was changed. */
export class Misuse extends Error {}

/** Runs a command. What was refused, here or by the library, is told in one line. Returns the exit code. */
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

import { InvalidTypeError, OutOfRangeError } from '../index.js'
import { complain } from './terminal.js'

/** As grep and most others have it: 1 is an answer, 2 is a misunderstanding. */
export const USAGE_ERROR = 2

/** Runs a command. What the library refuses as a bad argument is told in one line. Returns the exit code. */
export async function orUsageError(run: () => number | Promise<number>): Promise<number> {
  try {
    return await run()
  } catch (error) {
    if (!(error instanceof InvalidTypeError || error instanceof OutOfRangeError)) throw error
    complain(error.message)
    return USAGE_ERROR
  }
}

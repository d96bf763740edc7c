import { createInterface } from 'node:readline'
import { Misuse } from './usage.js'

/**
 * Asks whoever sits at the terminal. Anything but a yes is a no; so is Ctrl-C.
 *
 * @throws {@link Misuse} where nobody can be asked.
 */
export async function confirm(question: string, signal: AbortSignal): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new Misuse(`${question} There is no terminal to ask on: say --yes. Nothing was changed.`)
  }
  // Not as a terminal: readline would take Ctrl-C for itself.
  const lines = createInterface({ input: process.stdin, terminal: false })
  try {
    process.stderr.write(`${question} [y/N] `)
    return await new Promise((resolve) => {
      lines.once('line', (line) => resolve(/^y(es)?$/i.test(line.trim())))
      lines.once('close', () => resolve(false))
      signal.addEventListener('abort', () => resolve(false), { once: true })
    })
  } finally {
    lines.close()
  }
}

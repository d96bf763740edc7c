import { createInterface } from 'node:readline'
import { Misuse } from './usage.js'

/**
 * Asks a question on the terminal. Anything but a yes is a no; so is Ctrl-C.
 *
 * @throws {@link Misuse} if there is no terminal.
 */
export async function confirm(question: string, signal: AbortSignal): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new Misuse(`${question} There is no terminal to confirm this on: add --yes. Nothing was changed.`)
  }
  // With `terminal: true` readline would handle Ctrl-C itself.
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

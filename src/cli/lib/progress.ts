/** Shorter work shows no progress, ms. */
const SHOWN_AFTER = 1_000
/** Time between two redraws, ms. */
const REDRAW_EVERY = 100

/**
 * Shows what the command does in one line of stderr, from the first second on, and clears the line at the end. Writes nothing if stderr is
 * not a terminal.
 */
export class Progress {
  readonly #startedAt = performance.now()
  readonly #timer: NodeJS.Timeout | undefined
  #words: string
  #done: number | undefined
  #total: number | undefined
  #drawnAt = Number.NEGATIVE_INFINITY

  constructor(words: string) {
    this.#words = words
    if (!process.stderr.isTTY || process.env.TERM === 'dumb') return
    this.#timer = setInterval(() => this.#draw(), REDRAW_EVERY).unref()
  }

  /** Sets the text. Also draws, because the caller may give the timer no turn. */
  say(words: string, done?: number, total?: number): void {
    this.#words = words
    this.#done = done
    this.#total = total
    if (this.#timer) this.#draw()
  }

  /** Must be called before anything else is written. */
  end(): void {
    clearInterval(this.#timer)
    if (this.#drawnAt > 0) process.stderr.write('\r\x1b[K')
    this.#drawnAt = Number.NEGATIVE_INFINITY
  }

  #draw(): void {
    const now = performance.now()
    if (now < this.#startedAt + SHOWN_AFTER || now < this.#drawnAt + REDRAW_EVERY) return
    this.#drawnAt = now
    const count = this.#total === undefined ? '' : `: ${number(this.#done!)} of ${number(this.#total)}`
    const line = `${this.#words}${count}, ${Math.trunc((now - this.#startedAt) / 1_000)} s`
    // The last column stays empty: some terminals wrap as soon as it is written.
    process.stderr.write(`\r${line.slice(0, (process.stderr.columns || 80) - 1)}\x1b[K`)
  }
}

function number(n: number): string {
  return n.toLocaleString('en')
}

/** Runs something that may take long, and shows its progress. */
export async function withProgress<T>(
  words: string,
  run: (progress: Progress) => T | Promise<T>,
): Promise<T> {
  const progress = new Progress(words)
  try {
    return await run(progress)
  } finally {
    progress.end()
  }
}

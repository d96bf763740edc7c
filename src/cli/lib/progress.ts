/** Before that nobody wonders, ms. */
const PATIENCE = 1_000
/** Between two redraws, ms. */
const PACE = 100

/**
 * What goes on, in one line of a terminal's stderr, once it has taken a second. It is wiped away at the end. Where stderr is no terminal
 * nothing is written.
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
    this.#timer = setInterval(() => this.#draw(), PACE).unref()
  }

  /** What it has come to. Also draws, for who asks so may leave no turn to a timer. */
  say(words: string, done?: number, total?: number): void {
    this.#words = words
    this.#done = done
    this.#total = total
    if (this.#timer) this.#draw()
  }

  /** Before anything else is written. */
  end(): void {
    clearInterval(this.#timer)
    if (this.#drawnAt > 0) process.stderr.write('\r\x1b[K')
    this.#drawnAt = Number.NEGATIVE_INFINITY
  }

  #draw(): void {
    const now = performance.now()
    if (now < this.#startedAt + PATIENCE || now < this.#drawnAt + PACE) return
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

/** Runs something that may take long. */
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

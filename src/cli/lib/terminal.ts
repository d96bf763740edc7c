import { describeErrno } from '../../errors.js'

// Output of the commands: results go to stdout, messages to stderr in one line each.

/** ANSI codes by meaning. */
const codes = { strong: 1, faint: 2, bad: 31, good: 32, warning: 33, busy: 36 } as const

export type Style = keyof typeof codes

export function paint(text: string, style: Style): string {
  return hasColours() ? `\x1b[${codes[style]}m${text}\x1b[0m` : text
}

/** An empty NO_COLOR counts as unset: no-color.org. */
function hasColours(): boolean {
  return process.stdout.isTTY === true && !process.env.NO_COLOR
}

/** Whether the terminal can redraw this number of lines in place. */
export function canRedraw(lines: number): boolean {
  return process.stdout.isTTY === true && process.env.TERM !== 'dumb' && lines < (process.stdout.rows ?? 24)
}

/** The longest line. The last column stays empty: some terminals wrap as soon as it is written. */
export function lineWidth(): number {
  return (process.stdout.columns || 80) - 1
}

export function write(line = ''): void {
  process.stdout.write(`${line}\n`)
}

export function complain(message: string): void {
  process.stderr.write(`deadpeer: ${message}\n`)
}

/** Writes a note about the output to stderr. Writes nothing if the output is lost, because main.ts reports that. */
export function footnote(message: string): void {
  if (isUnwritten()) return
  complain(message)
}

/** Whether the output is lost. It is not lost if the reader closed the pipe (`| head`). */
export function isUnwritten(): boolean {
  const error: NodeJS.ErrnoException | null = process.stdout.errored
  return error !== null && error.code !== 'EPIPE'
}

/** Reports why the output is lost. */
export function complainOfOutput({ code, errno }: NodeJS.ErrnoException): void {
  const words = errno === undefined ? '' : `: ${describeErrno(errno).words}`
  complain(`cannot write to standard output${words} (${code})`)
}

/** The first line of a message, with the suggestion that commander puts on the second line. Puts commander's messages in the order of the library's. */
export function firstLine(text: string): string {
  const [first = '', second = ''] = text.trim().split('\n')
  const suggestion = second.startsWith('(Did you mean') ? ` ${second}` : ''
  return inOurOrder(first.replace(/^error: /, '')) + suggestion
}

function inOurOrder(message: string): string {
  return message
    .replace(
      /^option '(?:-\w, )?(?<name>\S+)(?: [^']*)?' argument '(?<value>.*?)' is invalid\. (?<rest>must be .*)$/,
      refusal,
    )
    .replace(
      /^command-argument value '(?<value>.*?)' is invalid for argument '(?<name>\S+)'\. (?<rest>must be .*)$/,
      (...match) => refusal(...match).replace(/^\S+/, (name) => `<${name}>`),
    )
    .replace(/^option '(?:-\w, )?(\S+)(?: [^']*)?' argument missing$/, '$1 must have a value; got none')
    .replace(/^required option '(.*)' not specified$/, '$1 is missing; --help shows what this command takes')
    .replace(/^missing required argument '(\S+)'$/, '<$1> is missing; --help shows what this command takes')
}

/** The hint, which is a sentence of its own, comes last. */
function refusal(...match: unknown[]): string {
  const { name, value, rest } = match.at(-1) as { name: string; value: string; rest: string }
  const [wanted, ...hint] = rest.split('. ')
  return [`${name} ${wanted}; got '${value}'`, ...hint].join('. ')
}

/** A part of the screen that is redrawn in place, with the cursor hidden. */
export class Canvas {
  #height = 0
  #isResized = false
  readonly #noteResize = () => {
    this.#isResized = true
  }
  readonly #showCursor = () => {
    process.stdout.write('\x1b[?25h')
  }

  constructor() {
    // This also runs if the process ends by an exception.
    process.once('exit', this.#showCursor)
    process.stdout.on('resize', this.#noteResize)
    process.stdout.write('\x1b[?25l')
  }

  draw(lines: readonly string[]): void {
    // After a resize terminals wrap the text again, each in its own way, so the screen is cleared.
    const up = this.#isResized ? '\x1b[H\x1b[2J' : this.#height > 0 ? `\x1b[${this.#height}A\r` : ''
    this.#isResized = false
    // Clears the rest of each line, and the lines below, where the terminal echoes a Ctrl-C.
    process.stdout.write(`${up}${lines.map((line) => `${line}\x1b[K\n`).join('')}\x1b[J`)
    this.#height = lines.length
  }

  end(): void {
    process.off('exit', this.#showCursor)
    process.stdout.off('resize', this.#noteResize)
    this.#showCursor()
  }
}

import { inWords } from './in-words.js'

/** An event on the time axis, ms. */
export interface Mark {
  readonly at: number
  readonly kind: 'probe' | 'answered' | 'retransmission'
}

interface Row {
  /** When the connection ends. `Infinity`, past the edge, or left out: an arrow. */
  readonly until?: number
  readonly marks: readonly Mark[]
  readonly note: string
}

const WIDTH = 800
/** Names left of LEFT, times right of RIGHT, the drawing between them. */
const LEFT = 216
const RIGHT = 676
const MARGIN = 16
const ROW = 26
/** The width of a character of the widest monospaced fonts at 12 px. */
const CHARACTER = 7.4

/** No CSS variables: some SVG renderers do not support them. */
const STYLE = `
  text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', 'DejaVu Sans Mono', monospace; fill: #1f2328 }
  .title { font-weight: bold }
  .faint { fill: #59636e }
  .paper { fill: #ffffff }
  .line { stroke: #1f2328; stroke-width: 2; fill: none }
  .axis { stroke: #d1d9e0; stroke-width: 1 }
  .bar { fill: #ddf4ff; stroke: #0969da }
  .heard { fill: #1a7f37 }
  .answered { fill: #1a7f37 }
  .probe { fill: #ffffff; stroke: #9a6700; stroke-width: 2 }
  .retransmission { stroke: #9a6700; stroke-width: 2 }
  .death { stroke: #cf222e; stroke-width: 3; fill: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .faint { fill: #9198a1 }
    .paper { fill: #0d1117 }
    .line { stroke: #f0f6fc }
    .axis { stroke: #3d444d }
    .bar { fill: #121d2f; stroke: #4493f8 }
    .heard, .answered { fill: #3fb950 }
    .probe { fill: #0d1117; stroke: #d29922 }
    .retransmission { stroke: #d29922 }
    .death { stroke: #f85149 }
  }`

/** A drawing in rows, with texts in columns so that they do not overlap. */
export class Drawing {
  readonly #title: string
  readonly #parts: string[] = []
  #y = 0
  #top = 0
  /** The right edge of this section's time, ms. */
  end = 1

  constructor(title: string) {
    this.#title = title
    this.#y = 28
    this.#text(MARGIN, this.#y, fitting(title, WIDTH - 2 * MARGIN), 'title')
    this.#y += 12
  }

  /** Begins a section with its own time scale. */
  section(title: string, end: number): void {
    this.end = end
    this.#y += 24
    this.#text(MARGIN, this.#y, title)
    this.#y += 8
    this.#top = this.#y
  }

  /** Draws events along a line that begins when the peer was last heard. */
  row(name: string, { until = Number.POSITIVE_INFINITY, marks, note }: Row): void {
    const y = this.#next(name, note)
    const ends = until <= this.end
    const right = this.#x(Math.min(until, this.end))
    this.#parts.push(`<path class="line" d="M${LEFT} ${y}H${ends ? right : RIGHT}"/>`)
    for (const { at, kind } of marks) this.#parts.push(drawn(kind, this.#x(at), y))
    if (ends) this.#parts.push(`<path class="death" d="M${right - 5} ${y - 5}l10 10m0 -10l-10 10"/>`)
    else this.#arrow(y)
    this.#parts.push(`<circle class="heard" cx="${LEFT}" cy="${y}" r="5"/>`)
  }

  /** Draws a duration. */
  bar(name: string, lasts: number, note: string): void {
    const y = this.#next(name, note)
    const right = this.#x(Math.min(lasts, this.end))
    this.#parts.push(
      `<rect class="bar" x="${LEFT}" y="${y - 6}" width="${round(right - LEFT)}" height="12"/>`,
    )
    if (lasts > this.end) this.#arrow(y)
  }

  /** Draws the time scale below the section. */
  axis(): void {
    this.#y += 8
    const lines: string[] = []
    for (let at = 0; at <= this.end; at += step(this.end)) {
      const x = this.#x(at)
      lines.push(`<path class="axis" d="M${x} ${this.#top}V${this.#y}"/>`)
      this.#text(x, this.#y + 14, at === 0 ? '0' : inWords(at), 'faint', 'middle')
    }
    // Drawn first, so that it is behind the rows.
    this.#parts.unshift(...lines)
    this.#y += 20
  }

  toString(): string {
    const legend = this.#legend()
    const height = this.#y + 16
    const title = escaped(this.#title)
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="what">`,
      `<title id="what">How long it takes to detect a dead peer: ${title}</title>`,
      `<style>${STYLE}\n</style>`,
      `<rect class="paper" width="${WIDTH}" height="${height}" rx="6"/>`,
      ...this.#parts,
      ...legend,
      '</svg>',
      '',
    ].join('\n')
  }

  #legend(): string[] {
    this.#y += 20
    const y = this.#y - 4
    const entries = [
      ['heard', 'last heard'],
      ['answered', 'probe acknowledged'],
      ['probe', 'probe unanswered'],
      ['retransmission', 'retransmission'],
      ['death', 'dead peer detected'],
    ] as const
    const before = this.#parts.length
    let x = MARGIN + 6
    for (const [kind, words] of entries) {
      this.#parts.push(
        kind === 'death'
          ? `<path class="death" d="M${x - 5} ${y - 5}l10 10m0 -10l-10 10"/>`
          : drawn(kind, x, y),
      )
      this.#text(x + 12, this.#y, words, 'faint')
      x += 12 + words.length * CHARACTER + 24
    }
    return this.#parts.splice(before)
  }

  /** Begins a row, with its name and time. */
  #next(name: string, note: string): number {
    this.#y += ROW
    this.#text(MARGIN, this.#y, fitting(name, LEFT - MARGIN - 14))
    this.#text(WIDTH - MARGIN, this.#y, fitting(note, WIDTH - RIGHT - MARGIN - 14), undefined, 'end')
    return this.#y - 4
  }

  #arrow(y: number): void {
    this.#parts.push(`<path class="line" d="M${RIGHT - 6} ${y - 5}L${RIGHT} ${y}L${RIGHT - 6} ${y + 5}"/>`)
  }

  #text(x: number, y: number, words: string, kind?: string, anchor?: 'middle' | 'end'): void {
    const attributes = `${kind ? ` class="${kind}"` : ''}${anchor ? ` text-anchor="${anchor}"` : ''}`
    this.#parts.push(`<text x="${x}" y="${y}"${attributes}>${escaped(words)}</text>`)
  }

  #x(at: number): number {
    return round(LEFT + ((RIGHT - LEFT) * at) / this.end)
  }
}

function drawn(kind: Mark['kind'] | 'heard', x: number, y: number): string {
  if (kind === 'retransmission') return `<path class="retransmission" d="M${x} ${y - 6}V${y + 6}"/>`
  return `<circle class="${kind}" cx="${x}" cy="${y}" r="${kind === 'heard' ? 5 : 4}"/>`
}

/** The distance between two labels of the axis, ms: a round time, and wide enough for the text. */
function step(end: number): number {
  const steps = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000,
  ]
  let wanted = steps.find((each) => end / each <= 6)
  // Above: 20 min, 40 min, …
  for (wanted ??= 1_200_000; end / wanted > 6; wanted *= 2);
  return wanted
}

function fitting(words: string, width: number): string {
  const most = Math.floor(width / CHARACTER)
  return words.length <= most ? words : `${words.slice(0, most - 1)}…`
}

function round(x: number): number {
  return Math.round(x * 10) / 10
}

function escaped(words: string): string {
  return words.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}

import { Canvas, lineWidth, paint, type Style, write } from '../../lib/terminal.js'
import type { DemoEvent, Name, Renderer } from './events.js'
import {
  askedWords,
  closingWords,
  probes,
  seconds,
  secondsOrNever,
  silentWords,
  vanishedWords,
} from './words.js'

const FRAME_EVERY = 100

/** Laid out for 80 columns. */
const WIDTH = 76
const NAME = 26
const BAR = 20
const PROBES = 22

/** The number of unresponsive connections to list. */
const NAMED = 3

/** The state of a connection in the table. */
interface Row {
  readonly label: string
  readonly predicted: number | null
  unanswered: number
  death?: {
    readonly t: number
    readonly actual: number
    readonly noticed: boolean
    readonly error: string | null
  }
}

/** A table that is redrawn in place, for people. */
export class LiveRenderer implements Renderer {
  /** The lines of the table. */
  static readonly height = 20

  readonly #canvas = new Canvas()
  readonly #rows = new Map<Name, Row>()
  /** The pool: the line below the table, and the list after the last redraw. */
  #below: Part[] = []
  #named: string[] = []
  #silentSince: number | undefined
  #timer: NodeJS.Timeout | undefined

  show(event: DemoEvent): void {
    switch (event.event) {
      case 'open':
        this.#rows.set(event.connection, { label: event.label, predicted: event.predicted, unanswered: 0 })
        break
      case 'silence':
        this.#silentSince = performance.now()
        this.#timer = setInterval(() => this.#draw(), FRAME_EVERY)
        this.#draw()
        break
      case 'probe':
        this.#rows.get(event.connection)!.unanswered = event.unanswered
        break
      case 'death':
        this.#rows.get(event.connection)!.death = event
        break
      case 'noticed': {
        const row = this.#rows.get(event.connection)!
        row.death = { ...row.death!, noticed: true, error: event.error }
        break
      }
      case 'vanished':
        this.#below = [part(sentence(vanishedWords(event)))]
        break
      case 'asked':
        this.#below = [part(sentence(askedWords(event)), 'good')]
        this.#named = silentWords(event, NAMED)
        break
      case 'summary':
        this.#stop()
        for (const line of this.#named) write(`    ${line}`)
        for (const line of ['', ...closingWords(event)]) write(`  ${line}`.trimEnd())
    }
  }

  end(): void {
    this.#stop()
    this.#canvas.end()
  }

  #stop(): void {
    if (!this.#timer) return
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#draw()
  }

  #draw(): void {
    const t = performance.now() - this.#silentSince!
    const width = lineWidth()
    const lines = [
      [],
      [part('deadpeer demo'.padEnd(WIDTH - 7), 'strong'), part(seconds(t).padStart(7))],
      [part('Seven connections, and each peer has just vanished: no FIN, no RST, no answer.', 'faint')],
      [],
      ...[...this.#rows.values()].flatMap((row) => [verdictLine(row, t), clockLine(row, t)]),
      [],
      this.#below,
    ]
    this.#canvas.draw(lines.map((line) => render(line, width)))
  }
}

interface Part {
  readonly text: string
  readonly style?: Style
}

function part(text: string, style?: Style): Part {
  return style ? { text, style } : { text }
}

function sentence(words: string): string {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}.`
}

function verdictLine(row: Row, t: number): Part[] {
  const { text, style } = verdict(row, t)
  return [part(row.label.padEnd(NAME), 'strong'), part(text, style)]
}

function verdict({ unanswered, death }: Row, t: number): { text: string; style: Style } {
  if (death && !death.noticed) {
    const unnoticed = seconds(t - death.t)
    return { text: `dead in the kernel, Node has not noticed for ${unnoticed}`, style: 'bad' }
  }
  if (death) return { text: `dead, and Node knows: ${death.error ?? 'closed'}`, style: 'good' }
  if (unanswered > 0) return { text: 'suspect', style: 'warning' }
  return { text: 'nothing noticed', style: 'faint' }
}

function clockLine(row: Row, t: number): Part[] {
  const { predicted, unanswered, death } = row
  const time = death ? `died at ${seconds(death.actual)}` : seconds(t)
  const share = death ? 1 : predicted === null ? 0 : Math.min(1, t / predicted)
  const full = Math.floor(share * BAR)
  const probesText = predicted === null ? 'no probes' : probes(unanswered)
  return [
    part('█'.repeat(full), barColour(row)),
    part('░'.repeat(BAR - full), 'faint'),
    part(`  ${probesText.padEnd(PROBES)}`),
    part(`${time}, `),
    part(`predicted ${secondsOrNever(predicted)}`, 'faint'),
  ]
}

function barColour({ death }: Row): Style {
  if (!death) return 'busy'
  return death.noticed ? 'good' : 'bad'
}

/** Indents a line and cuts it to the width of the terminal, because a wrapped line cannot be redrawn. */
function render(line: readonly Part[], width: number): string {
  let room = width - 2
  let text = line.length > 0 ? '  ' : ''
  for (const { text: whole, style } of line) {
    const shown = whole.slice(0, Math.max(0, room))
    room -= shown.length
    text += style && shown ? paint(shown, style) : shown
  }
  return text
}

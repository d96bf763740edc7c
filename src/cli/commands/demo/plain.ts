import { write } from '../../lib/terminal.js'
import type { DemoEvent, Renderer } from './events.js'
import {
  askedWords,
  closingWords,
  probes,
  seconds,
  secondsOrNever,
  settings,
  silentWords,
  vanishedWords,
} from './words.js'

/** The number of unresponsive connections to list. */
const NAMED = 5

/** One line for each change, for logs and pipes. */
export class PlainRenderer implements Renderer {
  show(event: DemoEvent): void {
    if (event.event === 'open') {
      write(`${event.connection}: ${event.label}; ${settings(event.profile)}; ${prediction(event)}`)
    } else if (event.event === 'summary') {
      for (const line of ['', ...closingWords(event)]) write(line)
    } else {
      if (event.event === 'asked') for (const line of silentWords(event, NAMED)) write(`pool: ${line}`)
      write(`+${seconds(event.t)} ${sentence(event)}`)
    }
  }

  end(): void {}
}

type Change = Exclude<DemoEvent, { event: 'open' | 'summary' }>

function sentence(change: Change): string {
  switch (change.event) {
    case 'silence':
      return 'all peers vanished'
    case 'probe':
      return `${change.connection}: ${probes(change.unanswered)}`
    case 'death': {
      const what = change.noticed ? (change.error ?? 'closed') : 'dead in the kernel, Node has not noticed'
      return `${change.connection}: ${what}, ${prediction(change)}`
    }
    case 'noticed':
      return `${change.connection}: Node has noticed now, ${change.error ?? 'closed'}`
    case 'vanished':
      return `pool: ${vanishedWords(change)}`
    case 'asked':
      return `pool: ${askedWords(change)}`
    case 'waiting':
      return `${change.connection}: still waiting, ${prediction(change)}`
  }
}

function prediction({ predicted }: { predicted: number | null }): string {
  return `predicted ${secondsOrNever(predicted)}`
}

import { write } from '../../lib/terminal.js'
import type { DemoEvent, Renderer } from './events.js'

/** One JSON object a line, for programs. */
export class JsonRenderer implements Renderer {
  show(event: DemoEvent): void {
    write(JSON.stringify(event))
  }

  end(): void {}
}

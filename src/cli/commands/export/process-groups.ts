import { printable } from '../../lib/format-socket.js'

// No process has such a name: the kernel keeps 15 bytes of it.

/** All processes without a name of their own here. */
export const OTHERS = '(other processes)'
/** A process that this user may not see. */
export const UNKNOWN = '(unknown process)'
/** No process has the connection open: it was closed, or is not accepted yet. */
export const NOBODY = '(without process)'

const reserved = [OTHERS, UNKNOWN, NOBODY]

/** The limit of names, so that the number of time series is bounded. */
const MOST = 20

/** Names that connections are counted by: the process's name for a limited number of processes. A name is never given up, because a counter must not vanish. */
export class ProcessGroups {
  readonly #names: Set<string>
  readonly #isOpen: boolean

  /** @param names the processes to count by name. Default: the first ones. */
  constructor(names: readonly string[] = []) {
    this.#names = new Set(names)
    this.#isOpen = names.length === 0
  }

  /** All names so far. */
  get names(): readonly string[] {
    return [...this.#names, ...reserved]
  }

  of(command: string): string {
    if (reserved.includes(command)) return command
    const name = printable(command)
    if (this.#isOpen && this.#names.size < MOST) this.#names.add(name)
    return this.#names.has(name) ? name : OTHERS
  }
}

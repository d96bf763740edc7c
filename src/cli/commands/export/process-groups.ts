import { printable } from '../../lib/format-socket.js'

// In parentheses and longer than the 15 bytes that the kernel keeps of a process's name: nobody is called so.

/** All that have no place of their own. */
export const OTHERS = '(other processes)'
/** One that is not ours to see. */
export const UNKNOWN = '(unknown process)'
/** Nobody has it open: its process has closed it, if only just now, or has not accepted it yet. */
export const NOBODY = '(without process)'

const reserved = [OTHERS, UNKNOWN, NOBODY]

/** However many processes there are, and whatever they call themselves. */
const MOST = 20

/** By what name connections are counted: that of their process, as long as there are few. Who has a place keeps it. */
export class ProcessGroups {
  readonly #names: Set<string>
  readonly #isOpen: boolean

  /** @param names those that are wanted. Without any: the first that come. */
  constructor(names: readonly string[] = []) {
    this.#names = new Set(names)
    this.#isOpen = names.length === 0
  }

  /** All that there are so far. */
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

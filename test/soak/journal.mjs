import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'

/** The kernel's monotonic clock, the same in all processes, in ms. */
export function now() {
  return Number(process.hrtime.bigint()) / 1e6
}

/** What a process did and saw, a line each, kept in a file so that it is no part of the memory that is watched. */
export class Journal {
  #fd
  #lines = ''

  constructor(path) {
    this.#fd = openSync(path, 'a')
    setInterval(() => this.flush(), 250).unref()
  }

  /** @param {string} id of a connection, or of a process. */
  note(id, event, detail = '') {
    this.#lines += `${now().toFixed(1)}\t${id}\t${event}\t${detail}\n`
  }

  flush() {
    if (this.#lines === '') return
    writeSync(this.#fd, this.#lines)
    this.#lines = ''
  }

  close() {
    this.flush()
    closeSync(this.#fd)
  }
}

/** @returns {{ at: number, id: string, event: string, detail: string }[]} */
export function readJournal(path) {
  const lines = readFileSync(path, 'utf8').split('\n')
  // The last is empty, or half of a line of a process that was killed.
  lines.pop()
  return lines.map((line) => {
    const [at, id, event, detail] = line.split('\t')
    return { at: Number(at), id, event, detail }
  })
}

import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { startByGuide } from './guide-command.js'

/** A method of a client in the program, and the port that tells the program's clients apart. */
export interface Call {
  readonly library: string
  readonly port: number
  readonly method: 'request' | 'wait'
}

interface Answer {
  readonly id: number
  readonly result?: unknown
  readonly error?: string
}

/** test/clients/fixtures/databases.mjs, started with the guide's command. */
export class DatabaseClients {
  readonly #child: ChildProcessWithoutNullStreams
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  #calls = 0
  #errors = ''

  /** @param heading the section of the guide that has the command */
  static async start(heading: string): Promise<DatabaseClients> {
    const program = new DatabaseClients(heading)
    await program.call({ method: 'start' })
    return program
  }

  private constructor(heading: string) {
    const file = fileURLToPath(new URL('../clients/fixtures/databases.mjs', import.meta.url))
    this.#child = startByGuide(heading, file)
    this.#child.stderr.on('data', (data) => {
      this.#errors += data
    })
    createInterface(this.#child.stdout).on('line', (line) => {
      const answer: Answer = JSON.parse(line)
      this.#waiting.get(answer.id)!(answer)
    })
    this.#child.on('exit', (code) => {
      for (const [id, answer] of this.#waiting) {
        answer({ id, error: `the program ended with ${code}: ${this.#errors}` })
      }
    })
  }

  get pid(): number {
    return this.#child.pid!
  }

  async call(call: Call | { method: 'start' }): Promise<unknown> {
    const id = this.#calls++
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve))
    this.#child.stdin.write(`${JSON.stringify({ ...call, id })}\n`)
    const { result, error } = await answered
    this.#waiting.delete(id)
    if (error !== undefined) throw new Error(error)
    return result
  }

  stop(): void {
    this.#child.kill('SIGKILL')
  }
}

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { program } from './deadpeer-command.js'
import { leaveOut } from './skip-reason.js'

export const hasTmux = spawnSync('tmux', ['-V']).status === 0
if (!hasTmux) leaveOut('tmux is not installed')

/** The shell in a terminal, as a person sees it: what is drawn over or wiped away is not there any more. */
export class Terminal implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'deadpeer-tmux-'))

  constructor(
    args: readonly string[],
    { columns = 160, rows = 40 }: { readonly columns?: number; readonly rows?: number } = {},
  ) {
    writeFileSync(join(this.#folder, 'tmux.conf'), 'set -g history-limit 5000\n')
    const command = [process.execPath, program, ...args].map((word) => `'${word}'`).join(' ')
    // Its exit code goes to a file, and the terminal stays. Ctrl-C is for the program alone.
    const script = `trap : INT; NO_COLOR= ${command}; echo $? > '${this.#folder}/code'; exec sleep 1000`
    const size = ['-x', String(columns), '-y', String(rows)]
    this.#tmux('-f', join(this.#folder, 'tmux.conf'), 'new-session', '-d', ...size, script)
  }

  /** Line by line; `colours`: with its escapes. */
  screen({ colours = false }: { readonly colours?: boolean } = {}): string[] {
    return this.#tmux('capture-pane', '-p', ...(colours ? ['-e'] : []))
      .trimEnd()
      .split('\n')
  }

  /** The screen, and what has left it by the top. */
  all(): string[] {
    const text = this.#tmux('capture-pane', '-p', '-J', '-S', '-')
    return text
      .trimEnd()
      .split('\n')
      .map((line) => line.trimEnd())
  }

  /** As tmux(1) names keys: C-c, Enter. */
  type(...keys: readonly string[]): void {
    this.#tmux('send-keys', ...keys)
  }

  resize(columns: number, rows: number): void {
    this.#tmux('resize-window', '-x', String(columns), '-y', String(rows))
  }

  get hasCursor(): boolean {
    return this.#ask('#{cursor_flag}') === '1'
  }

  /** `undefined` while it runs. */
  get exitCode(): number | undefined {
    try {
      const text = readFileSync(join(this.#folder, 'code'), 'utf8')
      return text.endsWith('\n') ? Number(text) : undefined
    } catch {
      return undefined
    }
  }

  /** Until something is on the screen, or has been there. */
  async shows(wanted: string | RegExp): Promise<void> {
    await this.#until(() => this.all().some((line) => line.match(wanted)), String(wanted))
  }

  async ends(): Promise<number> {
    await this.#until(() => this.exitCode !== undefined, 'the end')
    return this.exitCode!
  }

  async #until(holds: () => boolean, what: string): Promise<void> {
    const deadline = performance.now() + 30_000
    while (!holds()) {
      if (performance.now() > deadline) throw new Error(`not seen: ${what}\n${this.all().join('\n')}`)
      await delay(20)
    }
  }

  #ask(format: string): string {
    return this.#tmux('display-message', '-p', format).trim()
  }

  #tmux(...args: readonly string[]): string {
    return execFileSync('tmux', ['-S', join(this.#folder, 'socket'), ...args], {
      encoding: 'utf8',
      maxBuffer: 1e8,
    })
  }

  [Symbol.dispose](): void {
    this.#tmux('kill-server')
    rmSync(this.#folder, { recursive: true })
  }
}

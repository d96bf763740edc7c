import type { Finding } from '../plan.js'
import { paint, type Style, write } from './terminal.js'

const styles = { error: 'bad', warning: 'warning', note: 'faint' } as const satisfies Record<string, Style>

export interface Told extends Pick<Finding, 'severity' | 'message'>, Partial<Pick<Finding, 'change'>> {
  /** Who has to change something. */
  readonly fault?: string
  /** What to paste. */
  readonly command?: string
}

/** What was found, who is at fault, what to change, and last the command that fixes it. */
export function writeFindings(findings: readonly Told[]): void {
  for (const { severity, message, fault, change, command } of findings) {
    write()
    write(`${paint(`${severity}:`, styles[severity])} ${message}`)
    if (fault !== undefined) write(`  at fault: ${fault}`)
    if (change !== undefined) write(`  ${change}`)
    if (command !== undefined) write(`  ${command}`)
  }
}

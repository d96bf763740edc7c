import type { Finding } from '../../path/index.js'
import { paint, type Style, write } from './terminal.js'

const styles = { error: 'bad', warning: 'warning', note: 'faint' } as const satisfies Record<string, Style>

export interface PrintedFinding
  extends Pick<Finding, 'severity' | 'message'>,
    Partial<Pick<Finding, 'change'>> {
  /** The party that has to change something. */
  readonly fault?: string
  /** The command to paste. */
  readonly command?: string
}

/** Prints each finding, the party at fault, the change and, last, the command. */
export function writeFindings(findings: readonly PrintedFinding[]): void {
  for (const { severity, message, fault, change, command } of findings) {
    write()
    write(`${paint(`${severity}:`, styles[severity])} ${message}`)
    if (fault !== undefined) write(`  at fault: ${fault}`)
    if (change !== undefined) write(`  ${change}`)
    if (command !== undefined) write(`  ${command}`)
  }
}

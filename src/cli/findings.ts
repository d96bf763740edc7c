import type { Finding } from '../plan.js'
import { paint, type Style, write } from './terminal.js'

const styles = { error: 'bad', warning: 'warning', note: 'faint' } as const satisfies Record<string, Style>

type Told = Pick<Finding, 'severity' | 'message'> & Partial<Pick<Finding, 'change'>>

/** What was found, the cause and what mends it. */
export function writeFindings(findings: readonly Told[]): void {
  for (const { severity, message, change } of findings) {
    write()
    write(`${paint(`${severity}:`, styles[severity])} ${message}`)
    if (change !== undefined) write(`  ${change}`)
  }
}

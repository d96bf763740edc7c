import { inWords } from '../../../path/in-words.js'
import { type PrintedFinding, writeFindings } from '../../lib/findings.js'
import { paint, write } from '../../lib/terminal.js'
import type { IdleTimeout, Outcome } from './find-timeout.js'

export interface TimeoutFinding extends PrintedFinding {
  readonly code: 'closed-before-announced' | 'not-announced' | 'silent-limit'
}

/** Servers announce whole seconds. */
const ROUNDING = 1_000

/** Compares the idle limit that was found with the announced one. */
export function judgeTimeout({ atMost, outcome, announced }: IdleTimeout): TimeoutFinding[] {
  if (atMost === undefined) return []
  const limit = seconds(atMost)
  const below = `Close idle connections in the client earlier: freeSocketTimeout or keepAliveTimeout below ${limit}.`
  const findings: TimeoutFinding[] = []
  if (announced !== undefined && atMost < announced - ROUNDING) {
    findings.push({
      severity: 'warning',
      code: 'closed-before-announced',
      message: `The server announces Keep-Alive: timeout=${announced / 1_000}, but connections end after ${limit}: a proxy or another hop in front of it has a shorter limit.`,
      change: below,
    })
  }
  if (announced === undefined) {
    findings.push({
      severity: 'note',
      code: 'not-announced',
      message: `The server does not announce its limit of ${limit}, so clients cannot know it.`,
      change: below,
    })
  }
  if (outcome === 'reset' || outcome === 'silent') {
    findings.push({
      severity: 'warning',
      code: 'silent-limit',
      message: `After ${limit}, a request on the connection ${outcome === 'reset' ? 'is answered with a reset' : 'gets no response'}: something on the path has dropped the connection.`,
      change: below,
    })
  }
  return findings
}

const ends: Record<Exclude<Outcome, 'kept'>, string> = {
  closed: 'closed in order (FIN)',
  reset: 'reset',
  silent: 'no response',
}

export function showTimeout(timeout: IdleTimeout, findings: readonly TimeoutFinding[]): void {
  const { upTo, atLeast, atMost, outcome, announced, reuses } = timeout
  write(paint('idle limit', 'strong'))
  for (const { idle, outcome: how, unasked } of reuses) {
    const words = how === 'kept' ? 'kept' : ends[how]
    write(`  idle for ${seconds(idle)}  ${words}${unasked ? ', without a request' : ''}`)
  }
  if (atMost === undefined) write(`  ${paint(`none up to ${inWords(upTo)}`, 'good')}`)
  else {
    const range = atMost - atLeast < 1_001 ? seconds(atMost) : `${seconds(atLeast)} to ${seconds(atMost)}`
    write(`  limit ${range}, ${ends[outcome as Exclude<Outcome, 'kept'>]}`)
  }
  write(`  announced ${announced === undefined ? 'nothing' : `Keep-Alive: timeout=${announced / 1_000}`}`)
  writeFindings(findings)
  write()
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}

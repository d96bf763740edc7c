import type { SystemDefaults } from '../../../host/index.js'
import { deafHopOf, shortestMemory } from '../../../path/hop-findings.js'
import { inWords } from '../../../path/in-words.js'
import type { Hop } from '../../../path/index.js'
import type { Diagnosis } from './diagnosis.js'

/** RFC 1122, 4.2.3.5: at least 100 s, which is 8 retransmissions. */
const LEAST_RETRIES = 8

/** Findings about the system's settings, which apply to programs that set none. Pure. */
export function examineSystem({ initialDelay, retries2 }: SystemDefaults, path: readonly Hop[]): Diagnosis[] {
  const found: Diagnosis[] = []
  const memory = shortestMemory(path)
  // With a deaf hop, no program should enable keepalive.
  if (initialDelay !== undefined && initialDelay >= memory && !deafHopOf(path)) {
    found.push({
      severity: 'warning',
      code: 'system-keepalive',
      message: `The system's tcp_keepalive_time is ${inWords(initialDelay)}, and the path drops idle connections after ${inWords(memory)}. If a program enables keepalive without setting its times, the first probe comes too late.`,
      fault: 'system',
      change:
        'The command changes this network namespace until the next boot. Each program can also set its own times.',
      command: `sysctl -w net.ipv4.tcp_keepalive_time=${Math.max(1, Math.floor(memory / 2_000))}`,
    })
  }
  if (retries2 !== undefined && retries2 < LEAST_RETRIES) {
    found.push({
      severity: 'warning',
      code: 'system-retries',
      message: `The system's tcp_retries2 is ${retries2}. A connection with data in flight ends in less than the 100 s of RFC 1122, even if its peer is alive.`,
      fault: 'system',
      change: 'If a program must notice deaths sooner, have it set a userTimeout.',
      command: 'sysctl -w net.ipv4.tcp_retries2=15',
    })
  }
  return found
}

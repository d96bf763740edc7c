import { writeFindings } from '../../lib/findings.js'
import { paint, write } from '../../lib/terminal.js'
import { type Examination, type ExamineOptions, examine } from './hop-by-hop.js'
import { judgeProxy, type ProxyFinding } from './judge-proxy.js'
import type { Opener } from './opening.js'
import type { Version } from './single-connection.js'

export interface ProxyRun extends Examination {
  readonly findings: readonly ProxyFinding[]
}

/** Examines what is between the client and a `deadpeer http --serve`, with each version. */
export async function examineProxy(
  opener: Opener,
  versions: readonly Version[],
  options: ExamineOptions,
): Promise<ProxyRun[]> {
  const runs: ProxyRun[] = []
  for (const version of versions) {
    const examination = await examine(opener, version, options)
    runs.push({ ...examination, findings: judgeProxy(examination) })
  }
  return runs
}

const seconds = {
  answered: 'kept open: a second request on the connection was answered',
  'announced-close': 'not kept open, as the response said',
  closed: 'closed, although the response let the client reuse the connection',
  'no-response': 'open, but a second request on the connection got no response',
} as const

/** Prints each run, and then the findings of all of them. A finding that applies to both versions appears once. */
export function showProxy(runs: readonly ProxyRun[]): void {
  runs.forEach(showExamination)
  const findings = runs.flatMap((each) => [...each.findings])
  const messages = findings.map(({ message }) => message)
  writeFindings(findings.filter(({ message }, i) => messages.indexOf(message) === i))
  if (findings.length > 0) write()
}

function showExamination(examination: Examination): void {
  const { version, isDirect, originVersion, passedOn, passedBack, via, second, isOriginKept } = examination
  write(paint(`HTTP/${version}`, 'strong'))
  if (isDirect) write('  no proxy: the origin sees the port of this client')
  else write(`  a proxy sends HTTP/${originVersion} to the origin${via === undefined ? '' : `, Via: ${via}`}`)
  write(`  client side  ${seconds[second]}`)
  write(
    `  origin side  ${isOriginKept ? 'kept open between two requests' : 'a new connection for each request'}`,
  )
  if (!isDirect) {
    write(`  passed on to the origin: ${passedOn.join(', ') || 'none'}`)
    write(`  passed back to the client: ${passedBack.join(', ') || 'none'}`)
  }
  write()
}

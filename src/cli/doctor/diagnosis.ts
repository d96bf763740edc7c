import type { SocketEnd, SocketOwner } from '../../host.js'
import type { Finding, Severity } from '../../plan.js'
import type { NodeVersion } from './node-version.js'

/** Something that is wrong here. Match `code`: it is stable. */
export interface Diagnosis {
  readonly severity: Severity
  readonly code:
    | Finding['code']
    | 'closed-by-peer'
    | 'forgotten-already'
    | 'node-agent-keep-alive'
    | 'node-keep-alive-delay'
    | 'node-set-keep-alive'
    | 'node-tls-keep-alive'
    | 'system-keepalive'
    | 'system-retries'
    | 'unanswered'
    | 'zombie'
  readonly hop?: string
  /** What is, and what comes of it. */
  readonly message: string
  /** What mends it. */
  readonly change?: string
  /** Whose connections; left out for what concerns the system. */
  readonly process?: Pick<SocketOwner, 'pid' | 'command'> & {
    /** Where it is a Node, and the finding is one of options. */
    readonly node?: NodeVersion
  }
  /** How many of them. */
  readonly connections?: number
  /** One of them. */
  readonly example?: { readonly local: SocketEnd; readonly remote: SocketEnd } | { readonly fd: number }
}

type Single = Omit<Diagnosis, 'connections'>

/** The same of many connections of one process becomes one. */
export function summed(singles: readonly Single[]): Diagnosis[] {
  const groups = new Map<string, Single[]>()
  for (const each of singles) {
    const key = `${each.process?.pid} ${each.code} ${each.message}`
    const group = groups.get(key)
    if (group) group.push(each)
    else groups.set(key, [each])
  }
  return [...groups.values()].map((group) => ({ ...group[0]!, connections: group.length }))
}

const order: readonly Severity[] = ['error', 'warning', 'note']

/** The worst first, and of the same the most frequent. */
export function bySeverity(a: Diagnosis, b: Diagnosis): number {
  return order.indexOf(a.severity) - order.indexOf(b.severity) || (b.connections ?? 0) - (a.connections ?? 0)
}

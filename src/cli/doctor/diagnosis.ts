import type { SocketEnd, SocketOwner } from '../../host.js'
import type { Finding, Severity } from '../../plan.js'
import type { Connection } from '../selection.js'
import type { NodeVersion } from './node-version.js'

/** Who has to change something. */
export type Fault = 'program' | 'peer' | 'path' | 'system' | 'node'

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
    | 'peer-not-reading'
    | 'system-keepalive'
    | 'system-retries'
    | 'unanswered'
    | 'unheard'
    | 'zombie'
  readonly hop?: string
  readonly fault: Fault
  /** What is wrong, and the consequence. */
  readonly message: string
  /** What to change in the program, or on the path, for good. */
  readonly change?: string
  /** The command that fixes it here and now; where nothing here can, the one that shows what has to be changed. */
  readonly command: string
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

/** The same of one connection. Those that are alike become one {@link Diagnosis}. */
export interface Sign extends Pick<Diagnosis, 'severity' | 'code' | 'hop' | 'fault' | 'change'> {
  readonly connection: Connection
  readonly node?: NodeVersion | undefined
  /** Of all that are alike; what is the same for each, or what they come to together. */
  readonly message: string | ((alike: readonly Sign[]) => string)
  readonly command: (alike: readonly Connection[]) => string
  /** For how long it has been so at least, ms. */
  readonly lasting?: number
  /** Bytes that wait. */
  readonly queued?: number
}

/** The same of many connections of one process becomes one. */
export function summed(signs: readonly Sign[]): Diagnosis[] {
  const groups = new Map<string, Sign[]>()
  for (const each of signs) {
    const words = typeof each.message === 'string' ? each.message : ''
    const key = `${each.connection.owners[0]?.pid} ${each.code} ${each.severity} ${words}`
    const group = groups.get(key)
    if (group) group.push(each)
    else groups.set(key, [each])
  }
  return [...groups.values()].map(diagnosisOf)
}

function diagnosisOf(alike: readonly Sign[]): Diagnosis {
  const [first] = alike as [Sign]
  const { severity, code, hop, fault, message, change, node, connection } = first
  const { local, remote } = connection.record
  const [owner] = connection.owners
  return {
    severity,
    code,
    ...(hop !== undefined && { hop }),
    fault,
    message: typeof message === 'string' ? message : message(alike),
    ...(change !== undefined && { change }),
    command: first.command(alike.map((each) => each.connection)),
    ...(owner && {
      process: { pid: owner.pid, command: owner.command, ...(node !== undefined && { node }) },
    }),
    connections: alike.length,
    example: { local, remote },
  }
}

const order: readonly Severity[] = ['error', 'warning', 'note']

/** The worst first, and of the same the most frequent. */
export function bySeverity(a: Diagnosis, b: Diagnosis): number {
  return order.indexOf(a.severity) - order.indexOf(b.severity) || (b.connections ?? 0) - (a.connections ?? 0)
}

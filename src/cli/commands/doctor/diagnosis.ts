import type { SocketEnd, SocketOwner } from '../../../host/index.js'
import type { Finding, Severity } from '../../../path/index.js'
import type { Connection } from '../../lib/selection.js'
import type { NodeVersion } from './node-version.js'

/** The party that has to change something. */
export type Fault = 'program' | 'peer' | 'path' | 'system' | 'node'

/** One finding of `doctor`. Match `code`: it is stable. */
export interface Diagnosis {
  readonly severity: Severity
  readonly code:
    | Finding['code']
    | 'closed-by-peer'
    | 'deaf-path'
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
  /** The problem and its consequence. */
  readonly message: string
  /** The permanent fix, in the program or on the path. */
  readonly change?: string
  /** Fixes the open connections. If no command can, it lists them, or shows the setting to change. */
  readonly command: string
  /** The process that has the connections; left out for settings of the system. */
  readonly process?: Pick<SocketOwner, 'pid' | 'command'> & {
    /** The version of Node that it runs, for findings about options. */
    readonly node?: NodeVersion
  }
  /** The number of affected connections. */
  readonly connections?: number
  /** One affected connection. */
  readonly example?: { readonly local: SocketEnd; readonly remote: SocketEnd } | { readonly fd: number }
}

/** A finding about one connection. {@link summed} joins equal ones of a process to one {@link Diagnosis}. */
export interface Sign extends Pick<Diagnosis, 'severity' | 'code' | 'hop' | 'fault' | 'change'> {
  readonly connection: Connection
  readonly node?: NodeVersion | undefined
  /** Text, the same for each connection, or a function of all connections of the group. */
  readonly message: string | ((alike: readonly Sign[]) => string)
  readonly command: (alike: readonly Connection[]) => string
  /** The least time that it has lasted, ms. */
  readonly lasting?: number
  /** Bytes in the send queue. */
  readonly queued?: number
}

/** Joins equal findings about connections of one process. */
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

/** Sorts by severity, then by the number of connections. */
export function bySeverity(a: Diagnosis, b: Diagnosis): number {
  return order.indexOf(a.severity) - order.indexOf(b.severity) || (b.connections ?? 0) - (a.connections ?? 0)
}

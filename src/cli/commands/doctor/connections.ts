import type { SocketRecord, SocketState, SystemDefaults } from '../../../host/index.js'
import type { Profile } from '../../../index.js'
import { deafHopOf, shortestMemory } from '../../../path/hop-findings.js'
import { inWords } from '../../../path/in-words.js'
import type { Finding, Hop } from '../../../path/index.js'
import { judgeConnection } from '../../../path/judge.js'
import { byteWords, shortTime } from '../../lib/format-socket.js'
import type { Connection } from '../../lib/selection.js'
import { hasUnansweredProbes } from './deaf-path.js'
import { type Diagnosis, type Fault, type Sign, summed } from './diagnosis.js'
import { nodeTraps } from './node-traps.js'
import type { NodeVersion } from './node-version.js'
import type { Remedies } from './remedies.js'
import type { Twice } from './two-samples.js'

/** A connection and its options. */
export interface WithOptions {
  readonly connection: Connection
  readonly profile: Profile
  /** The version of Node that its process runs, if it runs Node. */
  readonly node: NodeVersion | undefined
}

const unansweredIn: { readonly [state in SocketState]?: string } = {
  established: 'The peer does not respond.',
  'syn-sent': 'The peer does not respond to the attempt to connect.',
  'close-wait': 'The peer has closed its side, your program has not, and the peer no longer responds.',
}

/** Findings from the counters of connections, which need no permission. Pure. */
export function examineCounters(
  connections: readonly Connection[],
  path: readonly Hop[],
  remedies: Remedies,
): Diagnosis[] {
  const memory = shortestMemory(path)
  const deafHop = deafHopOf(path)
  return summed(
    connections.flatMap((connection): Sign[] => {
      const { record, verdict, silentFor = 0 } = connection
      if (deafHop && hasUnansweredProbes(connection)) {
        return [
          {
            connection,
            severity: 'note',
            code: 'unanswered',
            fault: 'path',
            message: `Keepalive probes are unanswered. Through ${deafHop.name} that does not show whether the peer is gone.`,
            command: remedies.list,
          },
        ]
      }
      if (verdict === 'suspect') {
        return [
          {
            connection,
            severity: 'error',
            code: 'unanswered',
            fault: 'peer',
            message:
              unansweredIn[record.state] ?? 'Your program closed its side, and the peer does not respond.',
            command: record.state === 'established' ? remedies.probeAndKill : remedies.list,
          },
        ]
      }
      if (record.state !== 'established') return []
      if (silentFor > memory) {
        return [
          {
            connection,
            severity: 'error',
            code: 'forgotten-already',
            fault: 'path',
            message: `Idle for longer than the ${inWords(memory)} that the path keeps a connection: the path may have dropped it.`,
            command: remedies.probeAndKill,
          },
        ]
      }
      if (verdict !== 'unknown') return []
      return [
        {
          connection,
          severity: 'note',
          code: 'unheard',
          fault: 'program',
          message:
            'The peer may be gone: it was not heard for 60 s or more, and acknowledged no probe in the last 5 min. Only a probe can tell.',
          command: remedies.probe,
        },
      ]
    }),
  )
}

/** Whether a second sample is needed: no counter shows how long the connection has been in this state. */
export function mayBeStuck({ record }: Connection): boolean {
  return record.state === 'close-wait' || isWindowShut(record)
}

/**
 * Findings that need two samples: connections that the peer has closed and the program has not, and peers that do not read. Pure.
 *
 * @param options of the connections that could be read. With a `userTimeout` the kernel ends connections of the second kind, so these are a note.
 */
export function examineStuck(
  { connections, later, elapsed }: Twice,
  options: ReadonlyMap<Connection, Profile>,
  remedies: Remedies,
): Diagnosis[] {
  return summed(
    connections.flatMap((connection): Sign[] => {
      const { record: before } = connection
      const after = later.get(before.cookie)
      if (!after || connection.verdict === 'suspect') return []
      if (isStillShut(before, after)) {
        const { userTimeout = 0 } = options.get(connection) ?? {}
        const found = notReading(connection, after.sendQueue, elapsed, remedies)
        return [userTimeout > 0 ? endedBy(userTimeout, found, remedies) : found]
      }
      return isLeaked(before, after, elapsed) ? [leaked(connection, elapsed, remedies)] : []
    }),
  )
}

/** Data is queued, and the peer's window is too small for it. */
function isWindowShut({ timer, sendQueue }: SocketRecord): boolean {
  return timer === 'window-probe' && sendQueue > 0
}

function isStillShut(before: SocketRecord, after: SocketRecord): boolean {
  return (
    isWindowShut(before) &&
    isWindowShut(after) &&
    // Kernels before Linux 4.1 do not have this counter.
    before.readInfo('bytesAcked') === after.readInfo('bytesAcked')
  )
}

/** Less than this is ordinary flow control, bytes. */
const MUCH = 1e6

function notReading(connection: Connection, queued: number, lasting: number, remedies: Remedies): Sign {
  return {
    connection,
    severity: queued >= MUCH ? 'warning' : 'note',
    code: 'peer-not-reading',
    fault: 'peer',
    message: (alike) =>
      `The peer is alive but not reading: ${byteWords(sum(alike.map((each) => each.queued!)))} queued behind its closed window for at least ${shortTime(least(alike))}.`,
    change:
      'No userTimeout is set. The command sets one, which ends the connection if the peer still does not read.',
    command: remedies.tune,
    lasting,
    queued,
  }
}

function endedBy(userTimeout: number, found: Sign, remedies: Remedies): Sign {
  const change = `userTimeout ends the connection if the peer reads nothing for ${inWords(userTimeout)}.`
  return { ...found, severity: 'note', change, command: remedies.list }
}

/** Whether the peer has closed, and this side neither closes nor sends. */
function isLeaked(before: SocketRecord, after: SocketRecord, elapsed: number): boolean {
  return (
    before.state === 'close-wait' &&
    after.state === 'close-wait' &&
    after.sendQueue === 0 &&
    after.readInfo('lastDataSent')! >= elapsed
  )
}

function leaked(connection: Connection, elapsed: number, remedies: Remedies): Sign {
  return {
    connection,
    severity: 'warning',
    code: 'closed-by-peer',
    fault: 'program',
    message: (alike) =>
      `The peer closed its side at least ${shortTime(least(alike))} ago, and your program has not: ${alike.length === 1 ? 'a descriptor leaks' : `${alike.length} descriptors leak`}.`,
    change: "In the program: end or destroy the socket on 'end', or do not set allowHalfOpen.",
    command: remedies.list,
    // The FIN has the ACK flag, so it arrived with the last acknowledgement or before it.
    lasting: elapsed + connection.record.readInfo('lastAckRecv')!,
  }
}

function least(alike: readonly Sign[]): number {
  return alike.reduce((shortest, { lasting = 0 }) => Math.min(shortest, lasting), Number.POSITIVE_INFINITY)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}

/** Findings about the options of connections on this path, and about options that Node sets by default. */
export function examineOptions(
  read: readonly WithOptions[],
  path: readonly Hop[],
  defaults: SystemDefaults,
  remedies: Remedies,
): Diagnosis[] {
  return summed(
    read.flatMap(({ connection, profile, node }) => [
      ...judgeConnection(profile, path).map((finding) => signOf(finding, connection, node, remedies)),
      ...(node === undefined
        ? []
        : nodeTraps(node, profile, connection.record.remote.port, defaults).map((trap) => ({
            ...trap,
            connection,
            node,
            fault: 'node' as const,
            command: remedies.tune,
          }))),
    ]),
  )
}

/** Behaviour of a hop that no socket option changes. */
const ofPath: readonly Finding['code'][] = [
  'hop-uncertain',
  'probes-not-answered',
  'probes-not-counted',
  'proxy-behind',
]

/** Replaces the advice of `audit`, which names a function of the library. The command changes open connections only. */
function changeOf({ code }: Finding): Partial<Pick<Finding, 'change'>> {
  if (code !== 'keepalive-off') return {}
  return {
    change: 'For connections opened later: start the program with deadpeer run, or call tune() in it.',
  }
}

function signOf(
  finding: Finding,
  connection: Connection,
  node: NodeVersion | undefined,
  remedies: Remedies,
): Sign {
  const { code, hop } = finding
  const fault: Fault = ofPath.includes(code) ? 'path' : 'program'
  const command = fault === 'path' && hop !== undefined ? () => remedies.hop(hop) : remedies.tune
  return { ...finding, ...changeOf(finding), connection, node, fault, command }
}

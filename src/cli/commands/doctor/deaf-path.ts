import type { SocketRecord } from '../../../host/index.js'
import type { Connection } from '../../lib/selection.js'
import { type Diagnosis, type Sign, summed } from './diagnosis.js'
import type { Remedies } from './remedies.js'
import type { Twice } from './two-samples.js'

/** One probe may be on its way, or lost. */
const LEAST_PROBES = 2

/** Whether a second sample may show that probes are unanswered although the peer is alive. */
export function hasUnansweredProbes({ record }: Pick<Connection, 'record'>): boolean {
  const { state, timer, retries } = record
  return state === 'established' && timer === 'keepalive' && retries >= LEAST_PROBES
}

/**
 * The connections whose probes were unanswered at the first sample, and which then received data. A path that passes data and no probes does
 * that, and so does a network that lost everything for a while. If probes are unanswered again at the second sample, it is the path.
 */
export function deafConnections({ connections, later, elapsed }: Twice): ReadonlyMap<Connection, Evidence> {
  const found = new Map<Connection, Evidence>()
  for (const connection of connections) {
    const after = later.get(connection.record.cookie)
    if (!after || !hasUnansweredProbes(connection) || !hasReceived(after, elapsed)) continue
    found.set(connection, hasUnansweredProbes({ record: after }) ? 'again' : 'once')
  }
  return found
}

/** How often probes were unanswered on a connection that has received data. */
type Evidence = 'once' | 'again'

/** Whether data arrived between the two samples. */
function hasReceived(after: SocketRecord, elapsed: number): boolean {
  return after.readInfo('lastDataRecv')! < elapsed
}

/** Findings about paths that pass data and no keepalive probes. Pure. */
export function examineDeafPaths(deaf: ReadonlyMap<Connection, Evidence>, remedies: Remedies): Diagnosis[] {
  return summed([...deaf].map(([connection, evidence]) => deafPath(connection, evidence, remedies)))
}

function deafPath(connection: Connection, evidence: Evidence, remedies: Remedies): Sign {
  const isAgain = evidence === 'again'
  return {
    connection,
    severity: isAgain ? 'error' : 'warning',
    code: 'deaf-path',
    fault: 'path',
    message: isAgain
      ? 'Keepalive probes are unanswered, before and after data arrived from the peer: the path passes data and no probes. Keepalive ends this connection although its peer is alive.'
      : 'Keepalive probes were unanswered, and then data arrived from the peer. Either the network lost segments for a while, or the path passes data and no probes. On such a path keepalive ends connections to live peers.',
    change: isAgain
      ? 'Send data at intervals instead, such as a ping of the protocol. For connections opened later: deadpeer run --path.'
      : 'Run doctor again with a longer --over. If the finding returns, the command turns keepalive off.',
    command: remedies.keepaliveOff,
  }
}

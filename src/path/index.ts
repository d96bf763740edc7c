/**
 * The path between two ends: the catalogue of hops, `plan`, `audit`, `timeline` and `measure`.
 *
 * @module deadpeer/plan
 */

import type net from 'node:net'
import { BorrowedSocket } from '../connection/borrowed.js'
import { type ServerTarget, serversOf } from '../connection/listening.js'
import { handleOf, type Target } from '../connection/target.js'
import { inspect } from '../inspect/inspect.js'
import { type Catalogue, catalogue } from './catalogue.js'
import type { Finding } from './finding.js'
import type { Hop } from './hop.js'
import { inOrder, judgeClient, judgeConnection, judgeServer } from './judge.js'
import {
  type AgentLike,
  anySocketOf,
  type Dispatcher,
  isAgent,
  isDispatcher,
  readAgent,
  readDispatcher,
  readServer,
} from './live.js'
import { type Path, resolvePath } from './resolve.js'

export type { Catalogue, CatalogueHop, HopName } from './catalogue.js'
export type { Finding, Severity } from './finding.js'
export type {
  AnswersProbes,
  Certainty,
  Hop,
  IdleTimeout,
  OnExpiry,
  OwnHop,
  ProbeSource,
  Source,
} from './hop.js'
export type { HttpTimeouts, Leg } from './http-chain.js'
export type { AgentLike, Dispatcher } from './live.js'
export { measure } from './measure/measure.js'
export type { MeasureOptions, MeasureProgress } from './measure/options.js'
export type { IdleLimit, MeasuredPath, MeasureNote, Observation } from './measured-path.js'
export {
  type Plan,
  type PlannedProfile,
  type PlanOptions,
  type ProbeLoad,
  plan,
  type Traffic,
} from './planner.js'
export type { Path } from './resolve.js'
export { type TimelineOptions, timeline } from './timeline.js'

/**
 * The default idle timeouts of load balancers, NAT gateways, firewalls and proxies, by name. All times in ms.
 *
 * @example
 * ```ts
 * hops['azure-lb'].idleTimeout // 240_000
 * ```
 */
export const hops: Catalogue = catalogue()

/**
 * Checks a live object against a path: options read back from the kernel, timeouts read from servers, agents and undici's dispatchers.
 *
 * - **A connection**: the options in force, against the hops at layer 4. Keepalive is an error if a hop does not acknowledge probes, or if this
 *   connection has shown that ({@link inspect}: `path` is `deaf`).
 * - **A server** that listens, or a fastify instance, `WebSocketServer` or socket.io Server: the options that accepted connections inherit. For
 *   an HTTP server also its timeouts, against the last HTTP hop.
 * - **An `http.Agent`** or an agent with the same fields: how long it keeps free connections, against the first HTTP hop. Also the options of
 *   one of its connections, if it has any.
 * - **A dispatcher of undici** (`Agent`, `Pool`, `Client`): how long it keeps free connections.
 *
 * @param path the hops from the client to the server, as for {@link plan}.
 * @returns the findings, the most severe first. Empty if there are none.
 * @throws {@link InvalidTypeError} for an unknown hop or another kind of object; {@link DeadpeerError}
 * `ERR_SOCKET_CLOSED`, `ERR_NOT_TCP`.
 * @example
 * ```ts
 * for (const { severity, message, change } of audit(server, ['aws-alb'])) console.log(severity, message, change)
 * // error aws-alb keeps connections to the server idle for 60 s, but the server closes them after 5 s. …
 * ```
 */
export function audit(live: Target | ServerTarget | AgentLike | Dispatcher, path: Path): Finding[] {
  const hops = resolvePath(path)
  const [server] = serversOf(live) ?? []
  return inOrder(
    server ? auditServer(server, hops) : auditClient(live as Target | AgentLike | Dispatcher, hops),
  )
}

function auditServer(server: net.Server, path: readonly Hop[]): Finding[] {
  const settings = readServer(server)
  const fd = handleOf(server)?.fd
  return [
    ...(settings ? judgeServer(settings, path) : []),
    ...(fd === undefined
      ? notRead('The server is not listening in this process', 'Call audit() once it is listening.')
      : auditConnection(fd, path)),
  ]
}

function auditClient(live: Target | AgentLike | Dispatcher, path: readonly Hop[]): Finding[] {
  if (isAgent(live)) {
    const socket = anySocketOf(live)
    return [...judgeClient(readAgent(live), path), ...(socket ? auditConnection(socket, path) : [])]
  }
  if (!(live instanceof BorrowedSocket) && isDispatcher(live)) {
    const settings = readDispatcher(live)
    return settings
      ? judgeClient(settings, path)
      : notRead(
          'This dispatcher does not expose its timeouts',
          'Compare them with plan({ path }).http.undici.',
        )
  }
  return auditConnection(live as Target, path)
}

function auditConnection(target: Target, path: readonly Hop[]): Finding[] {
  const { profile, info, path: state } = inspect(target)
  if (info === undefined) {
    const change =
      'Run the audit on a system with the native core. capabilities().reason tells why it is missing here.'
    return notRead('The native core is not available', change)
  }
  return judgeConnection(profile, path, state === 'deaf')
}

function notRead(why: string, change: string): Finding[] {
  return [{ severity: 'note', code: 'not-read', message: `${why}, so its options were not checked.`, change }]
}

import type { ConnectionStatistics } from '../http/index.js'
import { type Metric, metricsOf } from './prometheus.js'

const metric = metricsOf<ConnectionStatistics>('deadpeer_agent')

/** The metrics of an agent's connections and requests. */
export const agentMetrics: readonly Metric<ConnectionStatistics>[] = [
  metric('connections', 'Connections that are open.', ({ open }) => open),
  metric(
    'connections_opened_total',
    'Connections that were established; with TLS, including the handshake.',
    ({ opened }) => opened,
  ),
  metric(
    'connections_closed_total',
    'Connections that the peer or this side closed in an orderly way.',
    ({ closedByPeer, closedByUs }) => [
      { labels: { by: 'peer' }, value: closedByPeer },
      { labels: { by: 'us' }, value: closedByUs },
    ],
    { labels: ['by'] },
  ),
  metric('connection_resets_total', 'Connections that ended with a reset.', ({ reset }) => reset),
  metric(
    'connection_timeouts_total',
    'Connections that the kernel or a heartbeat ended: the peer is gone or unreachable.',
    ({ timedOut }) => timedOut,
  ),
  metric(
    'connection_failures_total',
    'Connections that were never established.',
    ({ failedToOpen }) => failedToOpen,
  ),
  metric(
    'requests_total',
    'Requests, including those that wait for a connection.',
    ({ requests }) => requests,
  ),
  metric(
    'reused_requests_total',
    'Requests that were sent on a connection that had a request before.',
    ({ reusedRequests }) => reusedRequests,
  ),
  metric(
    'reuse_ratio',
    'Share of requests that were sent on a reused connection, since the agent was created, 0 to 1.',
    ({ reuseRatio }) => reuseRatio,
    { aggregator: 'average' },
  ),
  metric(
    'stale_reuses_avoided_total',
    'Idle connections that the agent found gone before it sent a request on them.',
    ({ staleReusesAvoided }) => staleReusesAvoided,
  ),
  metric(
    'stale_reuses_total',
    'Requests that failed because their connection was already gone.',
    ({ staleReuses }) => staleReuses,
  ),
  metric(
    'retried_requests_total',
    'Requests that were repeated because their connection was already gone.',
    ({ retried }) => retried,
  ),
  metric(
    'failed_requests_total',
    'Other requests that ended without a complete response, for any reason.',
    ({ failedRequests }) => failedRequests,
  ),
]

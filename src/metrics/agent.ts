import type { ConnectionStatistics } from '../http/index.js'
import { type Metric, metricsOf } from './prometheus.js'

const metric = metricsOf<ConnectionStatistics>('deadpeer_agent')

/** What has become of the connections and requests of an agent. */
export const agentMetrics: readonly Metric<ConnectionStatistics>[] = [
  metric('connections', 'Connections that are open.', ({ open }) => open),
  metric(
    'connections_opened_total',
    'Connections that were established; with TLS, that have shaken hands.',
    ({ opened }) => opened,
  ),
  metric(
    'connections_closed_total',
    'Connections that were closed in good order, by the peer or by this side.',
    ({ closedByPeer, closedByUs }) => [
      { labels: { by: 'peer' }, value: closedByPeer },
      { labels: { by: 'us' }, value: closedByUs },
    ],
    { labels: ['by'] },
  ),
  metric('connection_resets_total', 'Connections that ended by a reset.', ({ reset }) => reset),
  metric(
    'connection_timeouts_total',
    'Connections that were given up, by the kernel or a heartbeat: the peer is gone, or there is no way to it.',
    ({ timedOut }) => timedOut,
  ),
  metric(
    'connection_failures_total',
    'Connections that were never established.',
    ({ failedToOpen }) => failedToOpen,
  ),
  metric(
    'requests_total',
    'Requests that were made, also those that wait for a connection.',
    ({ requests }) => requests,
  ),
  metric(
    'reused_requests_total',
    'Requests that went out on a connection that had served one before.',
    ({ reusedRequests }) => reusedRequests,
  ),
  metric(
    'reuse_ratio',
    'Reused requests of all requests since the agent was made, 0 to 1.',
    ({ reuseRatio }) => reuseRatio,
    { aggregator: 'average' },
  ),
  metric(
    'stale_reuses_avoided_total',
    'Idle connections that were found gone before a request was sent on them.',
    ({ staleReusesAvoided }) => staleReusesAvoided,
  ),
  metric(
    'stale_reuses_total',
    'Requests that failed because their connection was already gone.',
    ({ staleReuses }) => staleReuses,
  ),
  metric(
    'retried_requests_total',
    'Requests that were sent again because their connection was already gone.',
    ({ retried }) => retried,
  ),
  metric(
    'failed_requests_total',
    'Other requests that ended without a whole answer, for whatever reason.',
    ({ failedRequests }) => failedRequests,
  ),
]

import type { ConnectionStatistics } from '../http/index.js'
import type { Metric } from './prometheus.js'

/** What has become of the connections and requests of an agent. */
export const agentMetrics: readonly Metric<ConnectionStatistics>[] = [
  {
    name: 'deadpeer_agent_connections',
    type: 'gauge',
    help: 'Connections that are open.',
    read: ({ open }) => open,
  },
  {
    name: 'deadpeer_agent_connections_opened_total',
    type: 'counter',
    help: 'Connections that were established; with TLS, that have shaken hands.',
    read: ({ opened }) => opened,
  },
  {
    name: 'deadpeer_agent_connections_closed_total',
    type: 'counter',
    help: 'Connections that were closed in good order, by the peer or by this side.',
    labels: ['by'],
    read: ({ closedByPeer, closedByUs }) => [
      { labels: { by: 'peer' }, value: closedByPeer },
      { labels: { by: 'us' }, value: closedByUs },
    ],
  },
  {
    name: 'deadpeer_agent_connection_resets_total',
    type: 'counter',
    help: 'Connections that ended by a reset.',
    read: ({ reset }) => reset,
  },
  {
    name: 'deadpeer_agent_connection_timeouts_total',
    type: 'counter',
    help: 'Connections that were given up, by the kernel or a heartbeat: the peer is gone, or there is no way to it.',
    read: ({ timedOut }) => timedOut,
  },
  {
    name: 'deadpeer_agent_connection_failures_total',
    type: 'counter',
    help: 'Connections that were never established.',
    read: ({ failedToOpen }) => failedToOpen,
  },
  {
    name: 'deadpeer_agent_requests_total',
    type: 'counter',
    help: 'Requests that were made, also those that wait for a connection.',
    read: ({ requests }) => requests,
  },
  {
    name: 'deadpeer_agent_reused_requests_total',
    type: 'counter',
    help: 'Requests that went out on a connection that had served one before.',
    read: ({ reusedRequests }) => reusedRequests,
  },
  {
    name: 'deadpeer_agent_reuse_ratio',
    type: 'gauge',
    help: 'Reused requests of all requests since the agent was made, 0 to 1.',
    aggregator: 'average',
    read: ({ reuseRatio }) => reuseRatio,
  },
  {
    name: 'deadpeer_agent_stale_reuses_avoided_total',
    type: 'counter',
    help: 'Idle connections that were found gone before a request was sent on them.',
    read: ({ staleReusesAvoided }) => staleReusesAvoided,
  },
  {
    name: 'deadpeer_agent_stale_reuses_total',
    type: 'counter',
    help: 'Requests that failed because their connection was already gone.',
    read: ({ staleReuses }) => staleReuses,
  },
  {
    name: 'deadpeer_agent_retried_requests_total',
    type: 'counter',
    help: 'Requests that were sent again because their connection was already gone.',
    read: ({ retried }) => retried,
  },
  {
    name: 'deadpeer_agent_failed_requests_total',
    type: 'counter',
    help: 'Other requests that ended without a whole answer, for whatever reason.',
    read: ({ failedRequests }) => failedRequests,
  },
]

import type { LivenessCounters } from '../host/index.js'
import { type Metric, metricsOf } from './prometheus.js'

const rows: readonly (readonly [field: keyof LivenessCounters, name: string, help: string])[] = [
  ['keepaliveProbes', 'keepalive_probes_total', 'Keepalive probes sent (TcpExt.TCPKeepAlive).'],
  ['windowProbes', 'window_probes_total', 'Probes of a closed window sent (TcpExt.TCPWinProbe).'],
  [
    'retransmissionTimeouts',
    'retransmission_timeouts_total',
    'Firings of a retransmission timer, including those for SYNs (TcpExt.TCPTimeouts).',
  ],
  [
    'abortsOnTimeout',
    'aborts_on_timeout_total',
    'Connections and connection attempts that the kernel ended by a timeout (TcpExt.TCPAbortOnTimeout).',
  ],
  [
    'failedAborts',
    'failed_aborts_total',
    'Ended connections whose reset could not be sent (TcpExt.TCPAbortFailed).',
  ],
  ['resetsSent', 'resets_sent_total', 'Resets sent, including those that refuse a connection (Tcp.OutRsts).'],
  [
    'endedAbruptly',
    'abrupt_ends_total',
    'Connections that ended without a FIN: by a reset of either side or by a timeout (Tcp.EstabResets).',
  ],
  [
    'outOfWindowIcmps',
    'out_of_window_icmps_total',
    'ICMP errors that the kernel ignored, including all for keepalive probes (TcpExt.OutOfWindowIcmps).',
  ],
  ['established', 'established_connections', 'Connections in ESTABLISHED or CLOSE-WAIT now (Tcp.CurrEstab).'],
]

const metric = metricsOf<LivenessCounters>('deadpeer_host')

/** The kernel's counters of a network namespace. A counter that this kernel does not have is left out. */
export const hostCounters: readonly Metric<LivenessCounters>[] = rows.map(([field, name, help]) =>
  // All processes of a cluster read the same values.
  metric(name, help, (counters) => counters[field], { aggregator: 'first' }),
)

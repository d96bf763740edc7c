import type { LivenessCounters } from '../host/index.js'
import { type Metric, metricsOf } from './prometheus.js'

const rows: readonly (readonly [field: keyof LivenessCounters, name: string, help: string])[] = [
  ['keepaliveProbes', 'keepalive_probes_total', 'Keepalive probes sent (TcpExt.TCPKeepAlive).'],
  ['windowProbes', 'window_probes_total', 'Probes of a closed window sent (TcpExt.TCPWinProbe).'],
  [
    'retransmissionTimeouts',
    'retransmission_timeouts_total',
    'Firings of a retransmission timer, those for SYNs included (TcpExt.TCPTimeouts).',
  ],
  [
    'abortsOnTimeout',
    'aborts_on_timeout_total',
    'Connections and attempts that the kernel gave up, whatever ran out (TcpExt.TCPAbortOnTimeout).',
  ],
  [
    'failedAborts',
    'failed_aborts_total',
    'Connections ended whose reset could not be sent (TcpExt.TCPAbortFailed).',
  ],
  ['resetsSent', 'resets_sent_total', 'Resets sent, also those that refuse a connection (Tcp.OutRsts).'],
  [
    'endedAbruptly',
    'abrupt_ends_total',
    'Connections that ended without a FIN, by whichever side, those given up included (Tcp.EstabResets).',
  ],
  [
    'outOfWindowIcmps',
    'out_of_window_icmps_total',
    'ICMP errors that were ignored, as all are that answer a keepalive probe (TcpExt.OutOfWindowIcmps).',
  ],
  ['established', 'established_connections', 'Connections in ESTABLISHED or CLOSE-WAIT now (Tcp.CurrEstab).'],
]

const metric = metricsOf<LivenessCounters>('deadpeer_host')

/** What the kernel counts for a network namespace. A counter that this kernel does not have is left out. */
export const hostCounters: readonly Metric<LivenessCounters>[] = rows.map(([field, name, help]) =>
  // All processes of a cluster read the same values.
  metric(name, help, (counters) => counters[field], { aggregator: 'first' }),
)

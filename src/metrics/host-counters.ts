import type { LivenessCounters } from '../host/index.js'
import type { Metric } from './prometheus.js'

type Counter = keyof LivenessCounters

const told: readonly (readonly [field: Counter, name: string, help: string])[] = [
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

/** What the kernel counts for a network namespace. What this kernel does not count is not told. */
export const hostCounters: readonly Metric<LivenessCounters>[] = told.map(([field, name, help]) => ({
  name: `deadpeer_host_${name}`,
  type: name.endsWith('_total') ? 'counter' : 'gauge',
  help,
  // Each process of a cluster reads the same.
  aggregator: 'first',
  read: (counters) => counters[field],
}))

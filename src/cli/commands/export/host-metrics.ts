import type { Metric, Value } from '../../../metrics/prometheus.js'
import type { Alike, HostSample, Tally } from './host-view.js'

/** The numbers of connections by state and verdict, and of deaths by reason. */
export const hostMetrics: readonly Metric<HostSample>[] = [
  {
    name: 'deadpeer_connections',
    type: 'gauge',
    help: 'TCP connections of the host. suspect: a probe or data is unacknowledged. unknown: idle for over 60 s, with no probe acknowledged for 5 minutes.',
    labels: ['state', 'verdict', 'process'],
    read: ({ connections, tallies }) => [
      // The values of most interest are exported even if they are 0.
      ...[...tallies.keys()].flatMap((process) =>
        (['alive', 'unknown', 'suspect'] as const)
          .filter((verdict) => !connections.some((each) => isOf(each, process, verdict)))
          .map((verdict) => ({ labels: { state: 'established', verdict, process }, value: 0 })),
      ),
      ...connections.map(({ state, verdict, process, count }) => ({
        labels: { state, verdict, process },
        value: count,
      })),
    ],
  },
  {
    name: 'deadpeer_unanswered_probes',
    type: 'gauge',
    help: 'Unacknowledged keepalive and window probes of the connections that are suspect now.',
    labels: ['process'],
    read: (sample) => sumBy(sample, ({ probes }) => probes),
  },
  {
    name: 'deadpeer_unanswered_retransmissions',
    type: 'gauge',
    help: 'Unacknowledged retransmissions of the connections that are suspect now.',
    labels: ['process'],
    read: (sample) => sumBy(sample, ({ retransmissions }) => retransmissions),
  },
  {
    name: 'deadpeer_suspicions_total',
    type: 'counter',
    help: 'Connections that became suspect.',
    labels: ['process'],
    read: (sample) => perProcess(sample, ({ suspicions }) => suspicions),
  },
  {
    name: 'deadpeer_recoveries_total',
    type: 'counter',
    help: 'Suspect connections whose peer was heard again.',
    labels: ['process'],
    read: (sample) => perProcess(sample, ({ recoveries }) => recoveries),
  },
  {
    name: 'deadpeer_deaths_total',
    type: 'counter',
    help: 'Suspect connections that the kernel gave up, by reason.',
    labels: ['process', 'reason'],
    read: ({ tallies }) =>
      [...tallies].flatMap(([process, { deaths }]) =>
        Object.entries(deaths).map(([reason, value]) => ({ labels: { process, reason }, value })),
      ),
  },
  {
    name: 'deadpeer_unnoticed_deaths_total',
    type: 'counter',
    help: 'Suspect connections that the kernel gave up, and that their program still had open at the next sample.',
    labels: ['process'],
    read: (sample) => perProcess(sample, ({ unnoticed }) => unnoticed),
  },
  {
    name: 'deadpeer_suspects_ended_total',
    type: 'counter',
    help: 'Suspect connections that ended before the kernel gave them up: reset by the peer, or closed by their program.',
    labels: ['process'],
    read: (sample) => perProcess(sample, ({ ended }) => ended),
  },
  {
    name: 'deadpeer_export_looks_total',
    type: 'counter',
    help: "Attempts to sample the host's connections, including failed ones.",
    read: ({ samples }) => samples,
  },
  {
    name: 'deadpeer_export_failed_looks_total',
    type: 'counter',
    help: "Failed attempts to sample the host's connections.",
    read: ({ failedSamples }) => failedSamples,
  },
  {
    name: 'deadpeer_export_look_duration_seconds',
    type: 'gauge',
    help: 'Duration of the sample that this scrape shows.',
    read: ({ took }) => took / 1_000,
  },
]

function isOf(each: Alike, process: string, verdict: Alike['verdict']): boolean {
  return each.process === process && each.verdict === verdict && each.state === 'established'
}

function perProcess({ tallies }: HostSample, count: (tally: Tally) => number): Value[] {
  return [...tallies].map(([process, tally]) => ({ labels: { process }, value: count(tally) }))
}

function sumBy({ connections, tallies }: HostSample, count: (alike: Alike) => number): Value[] {
  const sums = new Map([...tallies.keys()].map((process) => [process, 0]))
  for (const each of connections) sums.set(each.process, sums.get(each.process)! + count(each))
  return [...sums].map(([process, value]) => ({ labels: { process }, value }))
}

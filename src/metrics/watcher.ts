import type { DeathReason } from '../errors.js'
import type { Death } from '../watch/events.js'
import type { Watcher, WatchStats } from '../watch/watcher.js'
import { type Metric, metricsOf } from './prometheus.js'

/** All reasons start at 0: Prometheus cannot compute the rate of a counter that first appears with a value above 0. */
const noDeaths: Readonly<Record<DeathReason, number>> = {
  keepalive: 0,
  'user-timeout': 0,
  retransmission: 0,
  reset: 0,
  unreachable: 0,
  heartbeat: 0,
}

interface WatcherSample extends WatchStats {
  readonly deaths: Readonly<Record<DeathReason, number>>
  /** The sum of `silentFor` of all deaths, ms. */
  readonly silence: number
  /** `undefined`: not counted. */
  readonly suspicions: number | undefined
  readonly recoveries: number | undefined
}

/** Counts the events of a watcher. */
export class WatcherTally {
  readonly #watcher: Watcher
  readonly #countsSuspicions: boolean
  readonly #deaths = { ...noDeaths }
  #silence = 0
  #suspicions = 0
  #recoveries = 0

  constructor(watcher: Watcher, countsSuspicions: boolean) {
    this.#watcher = watcher
    this.#countsSuspicions = countsSuspicions
    watcher.on('dead', this.#onDead)
    if (countsSuspicions) watcher.on('suspect', this.#onSuspect).on('recover', this.#onRecover)
  }

  end(): void {
    this.#watcher.off('dead', this.#onDead).off('suspect', this.#onSuspect).off('recover', this.#onRecover)
  }

  sample(): WatcherSample {
    return {
      ...this.#watcher.stats(),
      deaths: this.#deaths,
      silence: this.#silence,
      suspicions: this.#countsSuspicions ? this.#suspicions : undefined,
      recoveries: this.#countsSuspicions ? this.#recoveries : undefined,
    }
  }

  readonly #onDead = ({ reason, silentFor = 0 }: Death) => {
    this.#deaths[reason]++
    this.#silence += silentFor
  }

  readonly #onSuspect = () => {
    this.#suspicions++
  }

  readonly #onRecover = () => {
    this.#recoveries++
  }
}

const metric = metricsOf<WatcherSample>('deadpeer_watcher')

/** The metrics of a watcher's connections. */
export const watcherMetrics: readonly Metric<WatcherSample>[] = [
  metric('connections', 'Connections that are watched.', ({ watching }) => watching),
  metric(
    'connections_added_total',
    'Connections that were added, or accepted by a server that was added.',
    ({ added }) => added,
  ),
  metric(
    'connections_closed_total',
    'Connections that were closed by the program or in an orderly way, or were never established.',
    ({ closed }) => closed,
  ),
  metric(
    'connections_removed_total',
    'Connections that were removed from the watcher.',
    ({ removed }) => removed,
  ),
  metric(
    'deaths_total',
    'Connections whose peer was found dead, by reason.',
    ({ deaths }) => Object.entries(deaths).map(([reason, value]) => ({ labels: { reason }, value })),
    { labels: ['reason'] },
  ),
  metric(
    'death_silence_seconds_total',
    'Sum of the time since the peer was last heard, over all deaths.',
    ({ silence }) => silence / 1_000,
  ),
  metric(
    'suspicions_total',
    'Connections that became suspect: a probe or data was not acknowledged.',
    ({ suspicions }) => suspicions,
  ),
  metric(
    'recoveries_total',
    'Suspect connections whose peer was heard again.',
    ({ recoveries }) => recoveries,
  ),
]

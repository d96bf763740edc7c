import type { DeathReason } from '../errors.js'
import type { Death } from '../watch/events.js'
import type { Watcher, WatchStats } from '../watch/watcher.js'
import type { Metric } from './prometheus.js'

/** All there are: a counter that appears with its first death is one that Prometheus does not see rise. */
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
  /** ms, of all deaths together. */
  readonly silence: number
  /** `undefined`: nobody has asked for them. */
  readonly suspicions: number | undefined
  readonly recoveries: number | undefined
}

/** Counts what a watcher tells. */
export class WatcherTally {
  readonly #watcher: Watcher
  readonly #isWary: boolean
  readonly #deaths = { ...noDeaths }
  #silence = 0
  #suspicions = 0
  #recoveries = 0

  /** @param isWary whether to count suspicions: without, nobody looks for them. */
  constructor(watcher: Watcher, isWary: boolean) {
    this.#watcher = watcher
    this.#isWary = isWary
    watcher.on('dead', this.#onDead)
    if (isWary) watcher.on('suspect', this.#onSuspect).on('recover', this.#onRecover)
  }

  end(): void {
    this.#watcher.off('dead', this.#onDead).off('suspect', this.#onSuspect).off('recover', this.#onRecover)
  }

  sample(): WatcherSample {
    return {
      ...this.#watcher.stats(),
      deaths: this.#deaths,
      silence: this.#silence,
      suspicions: this.#isWary ? this.#suspicions : undefined,
      recoveries: this.#isWary ? this.#recoveries : undefined,
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

/** What has become of the connections that a watcher was given. */
export const watcherMetrics: readonly Metric<WatcherSample>[] = [
  {
    name: 'deadpeer_watcher_connections',
    type: 'gauge',
    help: 'Connections that are watched.',
    read: ({ watching }) => watching,
  },
  {
    name: 'deadpeer_watcher_connections_added_total',
    type: 'counter',
    help: 'Connections that were added, or accepted by a server that was.',
    read: ({ added }) => added,
  },
  {
    name: 'deadpeer_watcher_connections_closed_total',
    type: 'counter',
    help: 'Connections that were closed, by the program or both sides, or never connected.',
    read: ({ closed }) => closed,
  },
  {
    name: 'deadpeer_watcher_connections_removed_total',
    type: 'counter',
    help: 'Connections that were taken out of the watcher.',
    read: ({ removed }) => removed,
  },
  {
    name: 'deadpeer_watcher_deaths_total',
    type: 'counter',
    help: 'Connections whose peer was found dead, by what they died of.',
    labels: ['reason'],
    read: ({ deaths }) => Object.entries(deaths).map(([reason, value]) => ({ labels: { reason }, value })),
  },
  {
    name: 'deadpeer_watcher_death_silence_seconds_total',
    type: 'counter',
    help: 'How long the peers had not been heard when they were found dead, of all deaths together.',
    read: ({ silence }) => silence / 1_000,
  },
  {
    name: 'deadpeer_watcher_suspicions_total',
    type: 'counter',
    help: 'Connections on which something became unanswered.',
    read: ({ suspicions }) => suspicions,
  },
  {
    name: 'deadpeer_watcher_recoveries_total',
    type: 'counter',
    help: 'Suspect connections whose peer was heard again.',
    read: ({ recoveries }) => recoveries,
  },
]

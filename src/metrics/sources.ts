import { DeadpeerError } from '../errors.js'
import { checkRegistry, type Metric, type MetricsRegistry, putMetrics } from './prometheus.js'

/** The sources that one registry shows. */
interface Shown<Source> {
  readonly byName: Map<string, Source>
  /** One of its metrics. */
  readonly metric: unknown
}

/** Sources of one kind (watchers, agents) in any number of registries. In one registry each source has a name of its own. */
export class Sources<Source, Sample> {
  readonly #label: string
  readonly #metrics: readonly Metric<Sample>[]
  readonly #sample: (source: Source) => Sample
  readonly #shown = new WeakMap<object, Shown<Source>>()

  /** @param label the label whose value is the source's name. */
  constructor(label: string, metrics: readonly Metric<Sample>[], sample: (source: Source) => Sample) {
    this.#label = label
    this.#metrics = metrics
    this.#sample = sample
  }

  /**
   * Adds a source to a registry.
   *
   * @param begin makes the source, once its name is known to be free.
   * @returns a function that removes it.
   */
  add(registry: MetricsRegistry, name: string, begin: () => Source): () => void {
    checkRegistry(registry)
    const known = this.#find(registry)
    if (known?.byName.has(name)) {
      throw new DeadpeerError(
        'ERR_NAME_TAKEN',
        `This registry has the ${this.#label} '${name}' already; give this one another name.`,
        { field: 'name' },
      )
    }
    const { byName } = known ?? this.#begin(registry)
    const source = begin()
    byName.set(name, source)
    return () => {
      if (byName.get(name) === source) byName.delete(name)
    }
  }

  /** `undefined` if the registry was cleared since. */
  #find(registry: MetricsRegistry): Shown<Source> | undefined {
    const shown = this.#shown.get(registry)
    return shown && registry.getSingleMetric(this.#metrics[0]!.name) === shown.metric ? shown : undefined
  }

  #begin(registry: MetricsRegistry): Shown<Source> {
    const byName = new Map<string, Source>()
    const readSamples = () =>
      [...byName].map(([name, source]) => ({ labels: { [this.#label]: name }, sample: this.#sample(source) }))
    const shown = { byName, metric: putMetrics(registry, this.#metrics, [this.#label], readSamples) }
    this.#shown.set(registry, shown)
    return shown
  }
}

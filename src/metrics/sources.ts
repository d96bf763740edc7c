import { DeadpeerError } from '../errors.js'
import { checkRegistry, type Metric, type MetricsRegistry, putMetrics } from './prometheus.js'

/** The sources in one registry. */
interface Shown<Source> {
  readonly byName: Map<string, Source>
  /** One of the metrics in the registry. */
  readonly metric: unknown
}

/** Sources of one kind (watchers or agents) in any number of registries. The names in one registry are unique. */
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
   * @param begin creates the source. Called only if the name is free.
   * @returns a function that removes it.
   */
  add(registry: MetricsRegistry, name: string, begin: () => Source): () => void {
    checkRegistry(registry)
    const known = this.#find(registry)
    if (known?.byName.has(name)) {
      throw new DeadpeerError(
        'ERR_NAME_TAKEN',
        `The registry already has a ${this.#label} with the name '${name}'. Pass another \`name\`.`,
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

  /** `undefined` for a new registry, and for one that was cleared. */
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

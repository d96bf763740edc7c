import { DeadpeerError } from '../errors.js'
import { checkRegistry, type Metric, type MetricsRegistry, putMetrics } from './prometheus.js'

/** What one registry tells of. */
interface Told<Source> {
  readonly byName: Map<string, Source>
  /** One of its metrics. */
  readonly metric: unknown
}

/** Things of one kind that registries tell of: several in one, each by a name of its own. */
export class Sources<Source, Sample> {
  readonly #label: string
  readonly #metrics: readonly Metric<Sample>[]
  readonly #look: (source: Source) => Sample
  readonly #told = new WeakMap<object, Told<Source>>()

  /** @param label what tells them apart. */
  constructor(label: string, metrics: readonly Metric<Sample>[], look: (source: Source) => Sample) {
    this.#label = label
    this.#metrics = metrics
    this.#look = look
  }

  /**
   * Has a registry tell of one more.
   *
   * @param begin makes it, once it is sure that it will be told of.
   * @returns what ends that.
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

  /** `undefined` where it has been cleared since. */
  #find(registry: MetricsRegistry): Told<Source> | undefined {
    const told = this.#told.get(registry)
    return told && registry.getSingleMetric(this.#metrics[0]!.name) === told.metric ? told : undefined
  }

  #begin(registry: MetricsRegistry): Told<Source> {
    const byName = new Map<string, Source>()
    const look = () =>
      [...byName].map(([name, source]) => ({ labels: { [this.#label]: name }, sample: this.#look(source) }))
    const told = { byName, metric: putMetrics(registry, this.#metrics, [this.#label], look) }
    this.#told.set(registry, told)
    return told
  }
}

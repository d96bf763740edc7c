import {
  type Aggregator,
  Counter,
  Gauge,
  type OpenMetricsContentType,
  type PrometheusContentType,
  type Registry,
} from 'prom-client'
import { DeadpeerError, InvalidTypeError } from '../errors.js'
import { describe } from '../options/check.js'

/** A registry of prom-client, of either format. */
export type MetricsRegistry = Registry<PrometheusContentType> | Registry<OpenMetricsContentType>

export type Labels = Readonly<Record<string, string>>

export interface Value {
  readonly labels: Labels
  readonly value: number
}

/** One metric: its name, its help text, and how its value is read from a sample. */
export interface Metric<Sample> {
  readonly name: string
  readonly type: 'counter' | 'gauge'
  readonly help: string
  /** Its own labels, in addition to those of the source. Each must have a small, fixed set of values. */
  readonly labels?: readonly string[]
  /** How the primary of a cluster combines the values of its workers. Default: `'sum'`. */
  readonly aggregator?: Aggregator
  /** The value, or one for each set of labels. `undefined`: no value; that is not 0. */
  read(sample: Sample): number | undefined | readonly Value[]
}

/** Creates metrics whose names start with `prefix`. A name that ends with `_total` is a counter, any other a gauge. */
export function metricsOf<Sample>(prefix: string) {
  return (
    name: string,
    help: string,
    read: Metric<Sample>['read'],
    more: Pick<Metric<Sample>, 'labels' | 'aggregator'> = {},
  ): Metric<Sample> => {
    const type = name.endsWith('_total') ? 'counter' : 'gauge'
    return { name: `${prefix}_${name}`, type, help, read, ...more }
  }
}

/** A sample of one source, and the labels of that source. */
export interface Labelled<Sample> {
  readonly labels: Labels
  readonly sample: Sample
}

/**
 * Registers metrics, all or none.
 *
 * @param common the labels of the sources.
 * @param readSamples called once for each scrape, so that all metrics are from the same moment.
 * @returns the first metric. The registry has it until it is cleared.
 */
export function putMetrics<Sample>(
  registry: MetricsRegistry,
  metrics: readonly Metric<Sample>[],
  common: readonly string[],
  readSamples: () => readonly Labelled<Sample>[],
): unknown {
  checkRegistry(registry)
  for (const { name } of metrics) {
    if (registry.getSingleMetric(name) === undefined) continue
    throw new DeadpeerError(
      'ERR_NAME_TAKEN',
      `The registry already has a metric ${name}. Pass another registry, or remove that metric.`,
    )
  }
  const readOnce = oncePerTurn(readSamples)
  return metrics.map((metric) => putMetric(registry, metric, common, readOnce))[0]
}

function putMetric<Sample>(
  registry: MetricsRegistry,
  { name, type, help, labels = [], aggregator = 'sum', read }: Metric<Sample>,
  common: readonly string[],
  readSamples: () => readonly Labelled<Sample>[],
): unknown {
  const collect = (metric: Gauge | Counter) => {
    const values = readSamples().flatMap((each) => valuesOf(each, read(each.sample)))
    metric.reset()
    // A metric without labels starts with a value of 0 in prom-client.
    metric.remove({})
    for (const { labels, value } of values) metric.inc(labels, value)
  }
  return new (type === 'gauge' ? Gauge : Counter)({
    name,
    help,
    aggregator,
    registers: [registry],
    labelNames: [...common, ...labels],
    collect() {
      collect(this as Gauge | Counter)
    },
  })
}

function valuesOf(
  { labels }: Labelled<unknown>,
  read: number | undefined | readonly Value[],
): readonly Value[] {
  if (read === undefined) return []
  if (typeof read === 'number') return [{ labels, value: read }]
  return read.map((each) => ({ labels: { ...labels, ...each.labels }, value: each.value }))
}

/** A registry collects all its metrics in one turn of the event loop, so one reading serves all of them. */
function oncePerTurn<T>(read: () => T): () => T {
  let known: { readonly value: T } | undefined
  return () => {
    if (!known) {
      known = { value: read() }
      queueMicrotask(() => {
        known = undefined
      })
    }
    return known.value
  }
}

export function checkRegistry(registry: unknown): asserts registry is MetricsRegistry {
  const { registerMetric, getSingleMetric } = (registry ?? {}) as Partial<Registry>
  if (typeof registerMetric === 'function' && typeof getSingleMetric === 'function') return
  throw new InvalidTypeError(
    `registry must be a Registry of prom-client, such as its \`register\`; got ${describe(registry)}.`,
    { field: 'registry' },
  )
}

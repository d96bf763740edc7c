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

/** A registry of prom-client's, whichever format it speaks. */
export type MetricsRegistry = Registry<PrometheusContentType> | Registry<OpenMetricsContentType>

export type Labels = Readonly<Record<string, string>>

export interface Value {
  readonly labels: Labels
  readonly value: number
}

/** One metric: its name and meaning, and what it has of a sample. */
export interface Metric<Sample> {
  readonly name: string
  readonly type: 'counter' | 'gauge'
  readonly help: string
  /** Beside those that tell samples apart. Each has few values, whatever happens. */
  readonly labels?: readonly string[]
  /** How the primary of a cluster puts its workers' together. Default: `'sum'`. */
  readonly aggregator?: Aggregator
  /** A value for each set of labels. `undefined`: there is nothing to be told, which is not 0. */
  read(sample: Sample): number | undefined | readonly Value[]
}

/** What is known of one thing, and what tells it apart from others. */
export interface Labelled<Sample> {
  readonly labels: Labels
  readonly sample: Sample
}

/**
 * Puts metrics into a registry, all or none.
 *
 * @param common the labels that tell samples apart.
 * @param look called once a scrape: all that it tells is of one moment.
 * @returns the first of them, by which one knows whether they are still there.
 */
export function putMetrics<Sample>(
  registry: MetricsRegistry,
  metrics: readonly Metric<Sample>[],
  common: readonly string[],
  look: () => readonly Labelled<Sample>[],
): unknown {
  checkRegistry(registry)
  for (const { name } of metrics) {
    if (registry.getSingleMetric(name) === undefined) continue
    throw new DeadpeerError(
      'ERR_NAME_TAKEN',
      `There is a metric ${name} in this registry already, of somebody else's.`,
    )
  }
  const lookOnce = oncePerTurn(look)
  return metrics.map((metric) => putMetric(registry, metric, common, lookOnce))[0]
}

function putMetric<Sample>(
  registry: MetricsRegistry,
  { name, type, help, labels = [], aggregator = 'sum', read }: Metric<Sample>,
  common: readonly string[],
  look: () => readonly Labelled<Sample>[],
): unknown {
  const values = () => look().flatMap((each) => valuesOf(each, read(each.sample)))
  const config = { name, help, aggregator, registers: [registry], labelNames: [...common, ...labels] }
  if (type === 'gauge') {
    return new Gauge({
      ...config,
      collect() {
        const told = values()
        forget(this)
        for (const each of told) this.set(each.labels, each.value)
      },
    })
  }
  return new Counter({
    ...config,
    collect() {
      const told = values()
      forget(this)
      for (const each of told) this.inc(each.labels, each.value)
    },
  })
}

/** Also the 0 that prom-client begins with where there are no labels. */
function forget(metric: Gauge | Counter): void {
  metric.reset()
  metric.remove({})
}

function valuesOf(
  { labels }: Labelled<unknown>,
  read: number | undefined | readonly Value[],
): readonly Value[] {
  if (read === undefined) return []
  if (typeof read === 'number') return [{ labels, value: read }]
  return read.map((each) => ({ labels: { ...labels, ...each.labels }, value: each.value }))
}

/** A registry asks its metrics one after the other without a pause: for all of them one answer will do, and is of one moment. */
function oncePerTurn<T>(look: () => T): () => T {
  let known: { readonly value: T } | undefined
  return () => {
    if (!known) {
      known = { value: look() }
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
    `registry must be a Registry of prom-client, such as its register; got ${describe(registry)}.`,
    { field: 'registry' },
  )
}

import { Registry } from 'prom-client'
import { livenessCounters, readCounters } from '../../../host/index.js'
import { hostCounters } from '../../../metrics/host-counters.js'
import { putMetrics } from '../../../metrics/prometheus.js'
import { hostMetrics } from './host-metrics.js'
import type { HostSample, HostView } from './host-view.js'

export interface Scrape {
  readonly contentType: string
  readonly text: string
}

/** Returns a function that scrapes the host in Prometheus's text format. Its calls may overlap. */
export function scraper(view: HostView, first: HostSample): () => Promise<Scrape> {
  const registry = new Registry()
  let sample = first
  putMetrics(registry, hostMetrics, [], () => [{ labels: {}, sample }])
  putMetrics(registry, hostCounters, [], () => [{ labels: {}, sample: livenessCounters(readCounters()) }])
  return async () => {
    sample = await view.sample()
    // prom-client reads every metric before any other code has a turn, so all values are of this sample.
    return { text: await registry.metrics(), contentType: registry.contentType }
  }
}

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

/** Returns what makes a scrape of a host, in Prometheus's text format. Any number of them may be made at a time. */
export function scraper(view: HostView, first: HostSample): () => Promise<Scrape> {
  const registry = new Registry()
  let sample = first
  putMetrics(registry, hostMetrics, [], () => [{ labels: {}, sample }])
  putMetrics(registry, hostCounters, [], () => [{ labels: {}, sample: livenessCounters(readCounters()) }])
  return async () => {
    sample = await view.sample()
    // Every metric is asked before anybody else has a turn: all of it is of this sample.
    return { text: await registry.metrics(), contentType: registry.contentType }
  }
}

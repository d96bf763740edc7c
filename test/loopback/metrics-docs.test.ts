import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { HostView } from '../../src/cli/commands/export/host-view.js'
import { ProcessGroups } from '../../src/cli/commands/export/process-groups.js'
import { scraper } from '../../src/cli/commands/export/registry.js'
import { HttpAgent } from '../../src/http/index.js'
import { watch } from '../../src/index.js'
import { collectAgent, collectCounters, collectWatcher } from '../../src/metrics/index.js'
import { Exposition, hasPromtool, type Told } from '../support/prometheus-exposition.js'

const docs = readFileSync(fileURLToPath(new URL('../../docs/metrics.md', import.meta.url)), 'utf8')

function section(heading: string): string {
  const [, text] = new RegExp(`^## ${heading}\n([\\s\\S]*?)(?=^## |(?![\\s\\S]))`, 'm').exec(docs)!
  return text!
}

/** The tables under a heading: name, type, labels. */
function documented(heading: string): Told[] {
  const rows = [...section(heading).matchAll(/^\| `(deadpeer_\w+)` +\| (\w+) +\| ([^|]*)\|/gm)]
  return rows.map(([, name, type, labels]) => ({
    name: name!,
    type: type!,
    labels: [...labels!.matchAll(/`(\w+)`/g)].map(([, label]) => label!),
  }))
}

async function exported(): Promise<Exposition> {
  const view = new HostView(new ProcessGroups(), new AbortController().signal)
  return new Exposition((await scraper(view, await view.sample())()).text)
}

async function ofProgram(): Promise<Exposition> {
  const registry = new Registry()
  const watcher = watch()
  collectWatcher(registry, watcher, { suspicions: true })
  collectAgent(registry, new HttpAgent())
  collectCounters(registry)
  watcher.close()
  return new Exposition(await registry.metrics())
}

describe('docs/metrics.md', () => {
  const counters = documented('Counters of the kernel')

  it('lists every metric of deadpeer export with type and labels, and no other', async () => {
    expect((await exported()).metrics).toEqual([
      ...documented('Metrics of a host: deadpeer export'),
      ...counters,
    ])
  })

  it('lists every metric of deadpeer/metrics with type and labels, and no other', async () => {
    expect((await ofProgram()).metrics).toEqual([
      ...documented('Metrics of a program: deadpeer/metrics'),
      ...counters,
    ])
  })

  it('lists exactly the label values that exist', async () => {
    const reasons = (text: string, row: RegExp) =>
      [...row.exec(text)![0].matchAll(/`([a-z-]+)`/g)].map(([, reason]) => reason)
    const told = [await exported(), await ofProgram()] as const
    expect(reasons(section('Metrics of a host: deadpeer export'), /- `reason`: .*?\./).slice(1)).toEqual([
      ...told[0].valuesOf('reason'),
    ])
    const ofWatcher = /`reason`: (`[a-z-]+`,? ?)+/
    expect(reasons(section('Metrics of a program: deadpeer/metrics'), ofWatcher).slice(1)).toEqual([
      ...told[1].valuesOf('reason'),
    ])
  })

  it('has alerts with metrics and labels that exist', async () => {
    const known = [await exported(), await ofProgram()].flatMap(({ metrics }) => metrics)
    const alerts = section('Alerts for dead peers, leaked connections and stale reuse')
    const names = alerts.match(/deadpeer_\w+/g)!
    for (const name of names) expect(known.map((each) => each.name)).toContain(name)
    const labels = new Set(known.flatMap((each) => each.labels))
    for (const [, label] of alerts.matchAll(/\$labels\.(\w+)/g)) expect(labels).toContain(label)
  })

  it.runIf(hasPromtool)('has alert rules that fire when they should', () => {
    const folder = mkdtempSync(join(tmpdir(), 'deadpeer-rules-'))
    try {
      const [, rules] = /```yaml\n([\s\S]*?)```/.exec(
        section('Alerts for dead peers, leaked connections and stale reuse'),
      )!
      writeFileSync(join(folder, 'rules.yml'), rules!)
      writeFileSync(join(folder, 'test.yml'), scenario)
      const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', join(folder, 'test.yml')], {
        encoding: 'utf8',
      })
      expect(`${stdout}${stderr}`).toContain('SUCCESS')
      expect(status).toBe(0)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

/** A rack dies after 10 minutes; one zombie is left; agents meet stale connections all the time; a pool idles without keepalive for 20 minutes. */
const scenario = `
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: 'deadpeer_connections{instance="h", process="node", state="established", verdict="alive"}'
        values: '100x10 80x20'
      - series: 'deadpeer_connections{instance="h", process="node", state="established", verdict="suspect"}'
        values: '0x10 20x3 0x17'
      - series: 'deadpeer_connections{instance="h", process="pooled", state="established", verdict="alive"}'
        values: '10x2 4x38'
      - series: 'deadpeer_connections{instance="h", process="pooled", state="established", verdict="unknown"}'
        values: '0x2 6x20 0x18'
      - series: 'deadpeer_deaths_total{instance="h", process="node", reason="keepalive"}'
        values: '0x13 20x20'
      - series: 'deadpeer_unnoticed_deaths_total{instance="h", process="node"}'
        values: '0x13 1x20'
      - series: 'deadpeer_watcher_deaths_total{instance="h", watcher="devices", reason="heartbeat"}'
        values: '0x13 12x20'
      - series: 'deadpeer_agent_requests_total{instance="h", agent="default"}'
        values: '0+600x40'
      - series: 'deadpeer_agent_reused_requests_total{instance="h", agent="default"}'
        values: '0+100x40'
      - series: 'deadpeer_agent_stale_reuses_total{instance="h", agent="default"}'
        values: '0+6x40'
      - series: 'up{instance="h", job="deadpeer"}'
        values: '1x10 0x20'
    alert_rule_test:
${[
  [9, 'PeersSilent'],
  [12, 'PeersSilent', 'instance: h, process: node', '20 peers of node do not answer'],
  [20, 'PeersSilent'],
  [16, 'PeersUnknown'],
  [
    20,
    'PeersUnknown',
    'instance: h, process: pooled',
    '6 connections of pooled are idle and not probed: their peers may be gone',
  ],
  [30, 'PeersUnknown'],
  [9, 'PeersDead'],
  [16, 'ConnectionsLeaked', 'instance: h, process: node', 'node keeps connections that are dead'],
  [9, 'ConnectionsLeaked'],
  [9, 'WatchedPeersDead'],
  [16, 'WatchedPeersDead', 'instance: h, watcher: devices, reason: heartbeat'],
  [25, 'StaleReuses', 'instance: h, agent: default'],
  [35, 'ConnectionsNotReused', 'instance: h, agent: default'],
  [9, 'ExporterBlind'],
  [17, 'ExporterBlind', 'instance: h, job: deadpeer'],
]
  .map(([minute, alert, labels, summary]) => {
    const fired = labels
      ? `[{ exp_labels: { ${labels} }${summary ? `, exp_annotations: { summary: '${summary}' }` : ''} }]`
      : '[]'
    return `      - { eval_time: ${minute}m, alertname: ${alert}, exp_alerts: ${fired} }`
  })
  .join('\n')}
`

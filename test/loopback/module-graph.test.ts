import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import manifest from '../../package.json' with { type: 'json' }

const root = fileURLToPath(new URL('../..', import.meta.url))
const script = fileURLToPath(new URL('fixtures/module-graph.mjs', import.meta.url))

function graphOf(entry: string): string[] {
  const output = execFileSync(process.execPath, ['--no-warnings', script, entry], {
    cwd: root,
    encoding: 'utf8',
  })
  return JSON.parse(output)
}

/** What each entry point takes that `deadpeer` alone does not. */
const more: Record<string, string[]> = {
  deadpeer: [],
  'deadpeer/host': [],
  'deadpeer/http': ['node:http', 'node:https'],
  'deadpeer/metrics': ['prom-client'],
  'deadpeer/net-keepalive': ['node:assert'],
  'deadpeer/plan': [],
  'deadpeer/register': [],
  'deadpeer/testing': [],
  'deadpeer/undici': ['undici'],
}

describe('an import loads what it needs, and nothing else', () => {
  const entries = Object.keys(manifest.exports)
    .filter((key) => key !== './package.json')
    .map((key) => key.replace(/^\./, 'deadpeer'))

  it('is measured here for every entry point', () => {
    expect(entries.filter((entry) => !(entry in more))).toEqual([])
  })

  const common = graphOf('deadpeer')

  it('loads for deadpeer only modules of Node that load quickly', () => {
    for (const specifier of common) expect(specifier).toMatch(/^node:/)
    for (const heavy of [
      'http',
      'https',
      'http2',
      'tls',
      'crypto',
      'cluster',
      'worker_threads',
      'child_process',
    ]) {
      expect(common).not.toContain(`node:${heavy}`)
    }
  })

  it.each(entries)('loads only the modules that it needs: %s', (entry) => {
    expect(graphOf(entry).filter((specifier) => !common.includes(specifier))).toEqual(more[entry])
  })
})

import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import manifest from '../../package.json' with { type: 'json' }

const root = fileURLToPath(new URL('../..', import.meta.url))
const script = fileURLToPath(new URL('fixtures/module-graph.mjs', import.meta.url))

interface Graph {
  readonly modules: string[]
  readonly files: string[]
}

function graphOf(entry: string): Graph {
  const output = execFileSync(process.execPath, ['--no-warnings', script, entry], {
    cwd: root,
    encoding: 'utf8',
  })
  return JSON.parse(output)
}

const chunks = readdirSync(join(root, 'dist/chunks'))

const core = ['node:diagnostics_channel', 'node:events', 'node:os']

/** What the search for the native core takes. It depends on where the core is found. */
const search = ['node:fs', 'node:module', 'node:path', 'node:sea', 'url']

/** What each entry point takes that `deadpeer` alone does not. */
const more: Record<string, string[]> = {
  deadpeer: [],
  'deadpeer/host': [...core],
  'deadpeer/http': ['node:diagnostics_channel', 'node:http', 'node:https'],
  'deadpeer/metrics': [],
  'deadpeer/net-keepalive': [],
  'deadpeer/plan': [],
  // The only one that loads the native core when it is imported.
  'deadpeer/register': ['node:diagnostics_channel', 'node:events', 'node:net', 'node:os'],
  'deadpeer/testing': [...core],
  'deadpeer/undici': [],
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
    for (const specifier of common.modules) expect(specifier).toMatch(/^node:/)
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
      expect(common.modules).not.toContain(`node:${heavy}`)
    }
  })

  it('loads two files for deadpeer', () => {
    expect(common.files).toEqual(['dist/index.js', 'dist/chunks/at-import.js'])
  })

  it.each(chunks)('can load %s before any other file', (name) => {
    const args = ['-e', `require(${JSON.stringify(join(root, 'dist/chunks', name))})`]
    expect(() => execFileSync(process.execPath, args, { stdio: 'pipe' })).not.toThrow()
  })

  it.each(entries)('loads only the modules that it needs: %s', (entry) => {
    const { modules } = graphOf(entry)
    const further = modules.filter((specifier) => !common.modules.includes(specifier))
    const isRegister = entry === 'deadpeer/register'
    expect(further.filter((specifier) => !isRegister || !search.includes(specifier))).toEqual(more[entry])
  })
})

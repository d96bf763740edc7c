import { spawnSync } from 'node:child_process'
import { leaveOut } from './skip-reason.js'

export const hasPromtool = spawnSync('promtool', ['--version']).status === 0
if (!hasPromtool) leaveOut('there is no promtool (of Prometheus) to check metrics with')

/** What `promtool check metrics` has against a scrape; nothing where it accepts it. */
export function complaintsOfPromtool(text: string): string {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: text,
    encoding: 'utf8',
  })
  return status === 0 ? '' : `${status}: ${stdout}${stderr}`
}

export interface Told {
  readonly name: string
  readonly type: string
  readonly labels: readonly string[]
}

/** A scrape: each series by how it is written, its labels in the order of the alphabet, and what metrics there are. */
export class Exposition {
  readonly series = new Map<string, number>()
  readonly #types = new Map<string, string>()
  readonly #labels = new Map<string, Set<string>>()

  constructor(text: string) {
    for (const line of text.split('\n')) {
      const [, typed, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? []
      if (typed !== undefined) {
        if (this.#types.has(typed)) throw new Error(`told twice: ${typed}`)
        this.#types.set(typed, type!)
        this.#labels.set(typed, new Set())
      }
      if (line === '' || line.startsWith('#')) continue
      const [, name, , labels = '', value] = /^([a-z_]+)(\{(.*)\})? (\S+)$/.exec(line)!
      const pairs = labels.match(/\w+="(?:[^"\\]|\\.)*"/g) ?? []
      const key = written(name!, pairs)
      if (this.series.has(key)) throw new Error(`told twice: ${line}`)
      this.series.set(key, Number(value))
      for (const pair of pairs) this.#labels.get(name!)!.add(pair.split('=')[0]!)
    }
  }

  /** Those that have had a series. */
  get metrics(): Told[] {
    return [...this.#types].map(([name, type]) => ({
      name,
      type,
      labels: [...this.#labels.get(name)!].sort(),
    }))
  }

  /** `undefined` where there is no such series. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    return this.series.get(
      written(
        name,
        Object.entries(labels).map(([label, value]) => `${label}="${value}"`),
      ),
    )
  }

  /** Of all series of a metric that have these labels. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
    return [...this.series]
      .filter(([key]) => key.startsWith(`${name}{`) && wanted.every((pair) => key.includes(pair)))
      .reduce((sum, [, value]) => sum + value, 0)
  }

  /** Of all series there are. */
  valuesOf(label: string): Set<string> {
    const pattern = new RegExp(`[{,]${label}="((?:[^"\\\\]|\\\\.)*)"`)
    return new Set([...this.series.keys()].flatMap((key) => pattern.exec(key)?.[1] ?? []))
  }
}

function written(name: string, pairs: readonly string[]): string {
  return pairs.length === 0 ? name : `${name}{${[...pairs].sort().join(',')}}`
}

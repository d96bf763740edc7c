import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { profiles } from '../../src/index.js'
import { type HopName, hops, plan, timeline } from '../../src/path/index.js'

interface Box {
  readonly words: string
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
}

/** What the texts cover, at the width of the widest of the fonts that are named: 0.61 em. */
function boxes(svg: string): Box[] {
  return [...svg.matchAll(/<text x="([\d.]+)" y="([\d.]+)"([^>]*)>([^<]*)<\/text>/g)].map(
    ([, x, y, attributes, text]) => {
      const words = text!.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(code))
      const width = words.length * 12 * 0.61
      const left =
        Number(x) - width * (attributes!.includes('middle') ? 0.5 : attributes!.includes('"end"') ? 1 : 0)
      return { words, left, right: left + width, top: Number(y) - 10, bottom: Number(y) + 3 }
    },
  )
}

function overlapping(all: readonly Box[]): [string, string][] {
  return all.flatMap((a, i) =>
    all
      .slice(i + 1)
      .filter((b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
      .map((b): [string, string] => [a.words, b.words]),
  )
}

function expectReadable(svg: string): void {
  const all = boxes(svg)
  const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)!.map(Number)
  expect(all.length).toBe(svg.match(/<text /g)!.length)
  expect(overlapping(all)).toEqual([])
  for (const { words, left, right, top, bottom } of all) {
    expect([left >= 0, right <= width!, top >= 0, bottom <= height!], words).toEqual([true, true, true, true])
  }
}

const path = fc.array(
  fc.oneof(
    fc.constantFrom(...(Object.keys(hops) as HopName[])),
    fc.record({
      name: fc.string({ minLength: 1, maxLength: 200 }).map((name) => `<&"${name}`),
      idleTimeout: fc.integer({ min: 100, max: 1e9 }),
    }),
  ),
  { maxLength: 8 },
)

describe('a timeline', () => {
  it('has no texts that overlap or leave its edge, whatever the plan', () => {
    fc.assert(
      fc.property(path, fc.option(fc.integer({ min: 2_000, max: 1e9 })), (hopsOfPath, detectWithin) => {
        expectReadable(timeline(plan({ path: hopsOfPath, ...(detectWithin && { detectWithin }) })))
      }),
    )
  })

  it('has no such texts for any profile', () => {
    const seconds = fc.integer({ min: 1, max: 32_767 }).map((s) => s * 1_000)
    const profile = fc.record(
      {
        enable: fc.boolean(),
        initialDelay: seconds,
        interval: seconds,
        count: fc.integer({ min: 1, max: 127 }),
        userTimeout: fc.oneof(fc.constant(0), fc.integer({ min: 100, max: 2 ** 31 - 1 })),
        rtoMax: fc.integer({ min: 1_000, max: 120_000 }),
      },
      { requiredKeys: [] },
    )
    fc.assert(fc.property(profile, (each) => expectReadable(timeline(each))))
  })

  it('is well-formed XML, whatever the name of a hop', () => {
    const svgs = fc.sample(path, 20).map((hopsOfPath) => timeline(plan({ path: hopsOfPath })))
    svgs.push(
      ...Object.values(profiles).map((profile) => timeline(profile)),
      timeline('lan', { title: 'a < b & "c"' }),
    )
    const parse =
      'import json, sys, xml.dom.minidom as m\nfor svg in json.load(sys.stdin): m.parseString(svg.encode())'
    const { status, stderr } = spawnSync('python3', ['-c', parse], {
      input: JSON.stringify(svgs),
      encoding: 'utf8',
    })
    expect(stderr).toBe('')
    expect(status).toBe(0)
  })

  it('has each probe, hop and death in its place', () => {
    const svg = timeline(plan({ path: ['azure-lb', 'aws-nlb'], detectWithin: 60_000 }))
    const marks = (kind: string) =>
      [...svg.matchAll(new RegExp(`class="${kind}" cx="([\\d.]+)"`, 'g'))].map(([, x]) => Number(x))
    // Of 216 to 676, which is 0 to 1.25 times 240 s: that of azure-lb, the last hop that is on the scale.
    const at = (s: number) => Math.round((216 + ((676 - 216) * s) / 300) * 10) / 10
    expect(marks('probe').slice(0, -1)).toEqual([30, 40, 50].map(at))
    expect(marks('answered').slice(0, 3)).toEqual([30, 60, 90].map(at))
    const bars = [...svg.matchAll(/class="bar" x="216" y="[\d.]+" width="([\d.]+)"/g)].map(([, width]) =>
      Number(width),
    )
    expect(bars[0]).toBeCloseTo(at(240) - 216)
    expect(bars[1]).toBe(676 - 216)
    expect(svg).toContain(`<path class="death" d="M${at(60) - 5} `)
    const words = boxes(svg).map(({ words }) => words)
    expect(words).toEqual(
      expect.arrayContaining([
        '60 s',
        '4 min',
        '350 s',
        'never',
        '925 s',
        "Node's default",
        'azure-lb',
        'aws-nlb',
      ]),
    )
  })

  it('shows the names of the catalogue in full', () => {
    const names = Object.keys(hops) as HopName[]
    const words = boxes(timeline(plan({ path: names }))).map(({ words }) => words)
    expect(words).toEqual(expect.arrayContaining(names))
  })

  it('has marks over its whole width, as many as can be told apart', () => {
    const svg = timeline({ initialDelay: 1_000, interval: 100_000, count: 127 })
    const marks = [...svg.matchAll(/class="answered" cx="([\d.]+)"/g)].map(([, x]) => Number(x)).slice(0, -1)
    expect(marks.length).toBeLessThanOrEqual(127)
    expect(marks.at(-1)).toBeGreaterThan(665)
  })

  it('cuts what is too long for its column', () => {
    const long = 'word '.repeat(60)
    const svg = timeline(plan({ path: [{ name: long, idleTimeout: 60_000 }] }), { title: long })
    expectReadable(svg)
    const [title, name] = boxes(svg).filter(({ words }) => words.startsWith('word'))
    expect(title!.right).toBeLessThan(800)
    expect(name!.right).toBeLessThan(216)
    expect(name!.words).toMatch(/…$/)
  })

  it('has light and dark colours, and says what it shows', () => {
    const svg = timeline('cloud')
    expect(svg).toContain('@media (prefers-color-scheme: dark)')
    expect(svg).toContain(
      '<title id="what">How long it takes to detect a dead peer: keepalive 30 s + 3 × 10 s, user timeout 60 s</title>',
    )
    expect(svg).toContain('width="800"')
  })

  it('is refused without a plan', () => {
    expect(() => timeline(undefined as never)).toThrow(TypeError)
    expect(() => timeline('clown' as never)).toThrow(/Unknown preset 'clown'/)
    expect(() => timeline({ interval: 1_500 })).toThrow(RangeError)
  })
})

it("is the README's drawing as the code draws it", () => {
  const { scripts } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  expect(scripts.timeline).toBe(
    'npm run build && node dist/cli/main.js plan --hop home-router --hop aws-nlb --svg docs/timeline.svg',
  )
  const drawn = timeline(plan({ path: ['home-router', 'aws-nlb'] }))
  expect(readFileSync(new URL('../../docs/timeline.svg', import.meta.url), 'utf8')).toBe(drawn)
})

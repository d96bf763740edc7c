import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { expect } from 'vitest'
import { detectionTime } from '../../src/index.js'
import { latest, timed } from './tolerance.js'

export const root = fileURLToPath(new URL('../..', import.meta.url))
const guide = readFileSync(`${root}/docs/guide.md`, 'utf8')

/** Replaces the guide's profiles in the tests: an idle peer is dead after 2 s, a peer with data in flight as well. */
export const QUICK = { initialDelay: 1_000, interval: 1_000, count: 1, userTimeout: 2_000 }

const QUICK_TIMES = detectionTime(QUICK)

/** Expects the time in which a death was noticed with the profile {@link QUICK}: at most as predicted, with data in flight or without. */
export function expectInTime(
  after: number,
  predicted = Math.max(QUICK_TIMES.idle, QUICK_TIMES.inFlight),
): void {
  expect(after).toBeGreaterThan(500)
  if (timed) expect(after).toBeLessThan(latest(predicted))
}

/** Inside the package, so that the examples can import it by its name. */
const folder = `${root}/test/clients/.examples/${process.pid}`

export interface Example {
  /** The heading of the guide's section that has it. */
  readonly heading: string
  readonly language: string
  readonly code: string
}

/** All code blocks of the guide, in order. */
export const examples: readonly Example[] = guide
  .split(/^## /m)
  .slice(1)
  .flatMap((section) => {
    const [heading] = section.split('\n', 1)
    const blocks = section.matchAll(/^ *```(\w+)\n([\s\S]*?)^ *```$/gm)
    return [...blocks].map(([, language, code]) => ({ heading: heading!, language: language!, code: code! }))
  })

/** The code blocks of a section in one language. */
function blocksOf(heading: string, language: string): string[] {
  const blocks = examples.filter((example) => example.heading === heading && example.language === language)
  if (blocks.length === 0) throw new Error(`The guide has no ${language} block under '${heading}'.`)
  return blocks.map(({ code }) => code)
}

/** The JavaScript examples of a section. Only the profile is replaced. */
export function examplesOf(heading: string): string[] {
  return blocksOf(heading, 'js').map((code) =>
    code.replaceAll(/'(datacenter|mobile)'/g, JSON.stringify(QUICK)),
  )
}

/** The command lines of a section. Only the profile is replaced. */
export function commandsOf(heading: string): string[] {
  return blocksOf(heading, 'sh').map((line) => line.trim().replaceAll('datacenter', JSON.stringify(QUICK)))
}

/** Writes a file that {@link removeExamples} removes. Returns its path. */
export function writeExample(name: string, content: string): string {
  const file = `${folder}/${name}`
  mkdirSync(file.slice(0, file.lastIndexOf('/')), { recursive: true })
  writeFileSync(file, content)
  return file
}

let modules = 0

/** Writes a module under a new name, because a module runs only once. Returns its path. */
export function writeModule(text: string): string {
  return writeExample(`${modules++}.mjs`, text)
}

export function removeExamples(): void {
  rmSync(folder, { recursive: true, force: true })
}

/** Puts values into the text, so that examples with different values run at the same time. */
export function withEnvironment(text: string, env: Record<string, string>): string {
  return text.replaceAll(/process\.env\.(\w+)/g, (read, name) =>
    name in env ? JSON.stringify(env[name]) : read,
  )
}

interface Import {
  readonly heading: string
  /** Which example under the heading, from 0. */
  readonly index?: number
  readonly env?: Record<string, string>
}

/** Runs an example of the guide in this process. Returns the variables with these names. */
export async function importExample<Name extends string>(
  { heading, index = 0, env = {} }: Import,
  ...names: Name[]
  // biome-ignore lint/suspicious/noExplicitAny: each library has other types
): Promise<Record<Name, any>> {
  const text = withEnvironment(examplesOf(heading)[index]!, env)
  const file = writeModule(`${text}\nexport { ${names.join(', ')} }\n`)
  return import(/* @vite-ignore */ pathToFileURL(file).href)
}

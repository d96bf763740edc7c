import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))
const guide = readFileSync(`${root}/docs/guide.md`, 'utf8')

/** Replaces the guide's profiles in the tests: an idle peer is dead after 2 s, a peer with data in flight as well. */
export const QUICK = { initialDelay: 1_000, interval: 1_000, count: 1, userTimeout: 2_000 }

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

export function removeExamples(): void {
  rmSync(folder, { recursive: true, force: true })
}

let run = 0

/** Runs the first example of a section. Returns the variables of it that are asked for. */
export function runExample<Name extends string>(heading: string, ...names: Name[]) {
  return runExampleWith({}, heading, ...names)
}

/** Like {@link runExample}, with environment variables for this example alone: several can run at the same time. */
export async function runExampleWith<Name extends string>(
  env: Record<string, string>,
  heading: string,
  ...names: Name[]
  // biome-ignore lint/suspicious/noExplicitAny: each library has other types
): Promise<Record<Name, any>> {
  const [first] = examplesOf(heading)
  const example = first!.replaceAll(/process\.env\.(\w+)/g, (read, name) =>
    name in env ? JSON.stringify(env[name]) : read,
  )
  // A new file each time, because a module runs only once.
  const file = writeExample(`${run++}.mjs`, `${example}\nexport { ${names.join(', ')} }\n`)
  return import(/* @vite-ignore */ pathToFileURL(file).href)
}

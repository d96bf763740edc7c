import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const guide = readFileSync(`${root}/docs/guide.md`, 'utf8')

/** What stands in for the profiles of the guide: an idle peer is dead after 2 s, one that is sent something as well. */
export const QUICK = { initialDelay: 1_000, interval: 1_000, count: 1, userTimeout: 2_000 }

// Within the package, whose name the examples import.
const folder = `${root}/test/clients/.examples/${process.pid}`

let run = 0

export function removeExamples(): void {
  rmSync(folder, { recursive: true, force: true })
}

/** What stands under a heading of the guide in one language, in turn. */
function examplesIn(language: string, heading: string): string[] {
  const [, section] = new RegExp(`^## ${heading}\n([\\s\\S]*?)(?=^## |(?![\\s\\S]))`, 'm').exec(guide) ?? []
  if (section === undefined) throw new Error(`the guide has nothing under '${heading}'`)
  const blocks = section.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\``, 'gm'))
  return [...blocks].map(([, example]) => example!)
}

/** The examples under a heading of the guide, as they stand but for the profile. */
export function examplesOf(heading: string): string[] {
  return examplesIn('js', heading).map((example) =>
    example.replaceAll(/'(datacenter|mobile)'/g, JSON.stringify(QUICK)),
  )
}

/** The command lines under a heading, likewise. */
export function commandsOf(heading: string): string[] {
  return examplesIn('sh', heading).map((line) => line.trim().replaceAll('datacenter', JSON.stringify(QUICK)))
}

/** Runs the first example under a heading, and returns it as a module with those of its variables that are wanted. */
export async function runExample<Name extends string>(
  heading: string,
  ...names: Name[]
  // biome-ignore lint/suspicious/noExplicitAny: of libraries without types here
): Promise<Record<Name, any>> {
  const [example] = examplesOf(heading)
  mkdirSync(folder, { recursive: true })
  // Each time another, as a module is run once.
  const file = `${folder}/${run++}.mjs`
  writeFileSync(file, `${example}\nexport { ${names.join(', ')} }\n`)
  return import(/* @vite-ignore */ pathToFileURL(file).href)
}

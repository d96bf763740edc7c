import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { examplesOf } from './guide.js'

const folder = fileURLToPath(new URL(`.examples/${process.pid}-imported`, import.meta.url))
let files = 0

interface Import {
  readonly heading: string
  /** Which example under the heading, from 0. */
  readonly index?: number
  /** Put into the text, so that examples with different values run at the same time. */
  readonly env?: Record<string, string>
}

/** Runs an example of the guide in this process. Returns the variables with these names. */
export async function importExample<Name extends string>(
  { heading, index = 0, env = {} }: Import,
  ...names: Name[]
  // biome-ignore lint/suspicious/noExplicitAny: each library has other types
): Promise<Record<Name, any>> {
  mkdirSync(folder, { recursive: true })
  const text = examplesOf(heading)[index]!.replaceAll(/process\.env\.(\w+)/g, (read, name) =>
    name in env ? JSON.stringify(env[name]) : read,
  )
  const file = `${folder}/${files++}.mjs`
  writeFileSync(file, `${text}\nexport { ${names.join(', ')} }\n`)
  return import(/* @vite-ignore */ pathToFileURL(file).href)
}

export function removeImported(): void {
  rmSync(folder, { recursive: true, force: true })
}

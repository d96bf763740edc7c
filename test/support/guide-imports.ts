import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { examplesOf } from './guide-examples.js'

/** Inside the package, so that the examples can import it by its name. */
const folder = fileURLToPath(new URL(`../clients/.examples/${process.pid}-imported`, import.meta.url))
let files = 0

/** Writes a module of its own. Returns its path. */
export function writeImported(text: string): string {
  mkdirSync(folder, { recursive: true })
  const file = `${folder}/${files++}.mjs`
  writeFileSync(file, text)
  return file
}

export function removeImported(): void {
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
  const file = writeImported(`${text}\nexport { ${names.join(', ')} }\n`)
  return import(/* @vite-ignore */ pathToFileURL(file).href)
}

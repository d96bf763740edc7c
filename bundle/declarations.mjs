// Completes the declarations in dist after tsc: node bundle/declarations.mjs
//
// - Default imports of Node's modules become namespace imports: CommonJS projects without `esModuleInterop` reject the former.
// - Declarations that no entry point leads to are deleted.
import { readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const { exports } = JSON.parse(readFileSync('package.json', 'utf8'))

const reached = new Set()
for (const conditions of Object.values(exports)) {
  if (typeof conditions === 'object') for (const { types } of Object.values(conditions)) visit(join(types))
}

for (const file of readdirSync('dist', { recursive: true }).filter((name) => /\.d\.m?ts$/.test(name))) {
  const path = join('dist', file)
  if (!reached.has(path)) rmSync(path)
  else writeFileSync(path, withNamespaces(readFileSync(path, 'utf8')))
}
removeEmpty('dist')

function visit(path) {
  if (reached.has(path)) return
  reached.add(path)
  const text = readFileSync(path, 'utf8')
  for (const [, target] of text.matchAll(/\b(?:from|import|import\() ?'(\.{1,2}\/[^']+)\.js'/g)) {
    visit(join(dirname(path), `${target}.d.ts`))
  }
}

function withNamespaces(text) {
  return text.replaceAll(/^import (?:type )?(\w+) from '(node:\w+)';$/gm, "import type * as $1 from '$2';")
}

function removeEmpty(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeEmpty(join(folder, entry.name))
  }
  if (readdirSync(folder).length === 0) rmdirSync(folder)
}

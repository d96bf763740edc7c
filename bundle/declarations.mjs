// Completes the declarations in dist after tsc: node bundle/declarations.mjs
//
// - What no entry point needs is deleted: declarations, imports, files.
// - Default imports of Node's modules become namespace imports: CommonJS projects without `esModuleInterop` reject the former.
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseSync } from 'rolldown/utils'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const { exports } = JSON.parse(readFileSync('package.json', 'utf8'))
const conditions = Object.values(exports).filter((each) => typeof each === 'object')
const entries = new Set(conditions.map(({ require: { types } }) => join(types)))
const wrappers = new Set(conditions.map(({ import: { types } }) => join(types)))

/** By path: the statements of a file. */
const files = new Map()
for (const entry of entries) for (const statement of statementsOf(entry)) keep(entry, statement)

for (const name of readdirSync('dist', { recursive: true }).filter((each) => /\.d\.m?ts$/.test(each))) {
  const path = join('dist', name)
  if (wrappers.has(path)) continue
  const text = (files.get(path) ?? []).map(textOf).join('')
  if (text === '') rmSync(path)
  else writeFileSync(path, text)
}
removeEmpty('dist')

/** Each with its text, the comment before it included, and the names in its code. `kept`: whether an entry point needs it. */
function statementsOf(path) {
  const known = files.get(path)
  if (known) return known
  const text = readFileSync(path, 'utf8')
  const { program } = parseSync(path, text)
  const statements = []
  let at = 0
  for (const node of program.body) {
    const code = text.slice(node.start, node.end)
    statements.push({
      node,
      text: text.slice(at, node.end),
      names: new Set(code.replaceAll(/\/\*[\s\S]*?\*\//g, '').match(/[\w$]+/g)),
      kept: false,
      /** Of an import: the local names that are used. */
      used: new Set(),
    })
    at = node.end
  }
  files.set(path, statements)
  return statements
}

/** Keeps a statement, and whatever it names. */
function keep(path, statement) {
  if (statement.kept) return
  statement.kept = true
  const { node, names, text } = statement
  if (node.type === 'ImportDeclaration') return
  if (node.source) {
    for (const { local } of node.specifiers ?? []) keepExport(resolve(path, node.source.value), local.name)
    return
  }
  for (const [, source, name] of text.matchAll(/\bimport\(['"](\.[^'"]+)['"]\)\.(\w+)/g)) {
    keepExport(resolve(path, source), name)
  }
  for (const other of statementsOf(path)) {
    if (other.node.type === 'ImportDeclaration') keepImports(path, other, names)
    else if (declaredBy(other.node).some((name) => names.has(name))) keep(path, other)
  }
}

function keepImports(path, statement, names) {
  const { source, specifiers } = statement.node
  for (const { local, imported } of specifiers) {
    if (!names.has(local.name) || statement.used.has(local.name)) continue
    statement.kept = true
    statement.used.add(local.name)
    if (source.value.startsWith('.')) keepExport(resolve(path, source.value), imported.name)
  }
}

function keepExport(path, name) {
  for (const statement of statementsOf(path)) {
    const { declaration, specifiers = [] } = statement.node
    const isExported = specifiers.some(({ exported }) => exported?.name === name)
    if (isExported || (declaration && declaredBy(statement.node).includes(name))) keep(path, statement)
  }
}

function declaredBy({ declaration, ...node }) {
  const { id, declarations = [] } = declaration ?? node
  return [id, ...declarations.map((each) => each.id)].flatMap((each) => each?.name ?? [])
}

function resolve(path, source) {
  const target = join(dirname(path), source.replace(/\.js$/, '.d.ts'))
  if (!existsSync(target)) throw new Error(`${path} imports ${source}, which is not there.`)
  return target
}

function textOf({ node, text, kept, used }) {
  if (!kept) return ''
  if (node.type !== 'ImportDeclaration') return text
  const source = node.source.value
  const [first] = node.specifiers
  if (first.type === 'ImportDefaultSpecifier')
    return `import type * as ${first.local.name} from '${source}';\n`
  if (first.type === 'ImportNamespaceSpecifier') return text
  const names = node.specifiers
    .filter(({ local }) => used.has(local.name))
    .map(({ imported: { name }, local }) => (name === local.name ? name : `${name} as ${local.name}`))
  return `import type { ${names.join(', ')} } from '${source}';\n`
}

function removeEmpty(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeEmpty(join(folder, entry.name))
  }
  if (readdirSync(folder).length === 0) rmdirSync(folder)
}

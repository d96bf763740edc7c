import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

// What the package exports is what its reference is made of: all of it says what it is, and what can be called shows how. That each member has
// a comment, and each link a target, is seen to where the reference is made (docs/reference.mjs).

const root = fileURLToPath(new URL('../..', import.meta.url))
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

interface Exported {
  readonly name: string
  readonly isType: boolean
  readonly file: string
}

const entries = Object.entries<{ require?: { default: string } }>(exports)
  .filter(([, { require: built }]) => built)
  .map(([entry, { require: built }]) => ({
    entry,
    file: join(root, built!.default.replace('./dist/', 'src/').replace(/\.js$/, '.ts')),
  }))

const DECLARED = /^export (?:declare |abstract |async )*(function|class|interface|type|const) (\w+)/gm
const LISTED = /^export (type )?\{([^}]*)\}(?: from '([^']+)\.js')?/gm

/** What a file exports, each with the file that declares it. */
function exportsOf(file: string): Exported[] {
  const text = readFileSync(file, 'utf8')
  const declared = [...text.matchAll(DECLARED)].map(([, kind, name]) => ({
    name: name!,
    isType: kind === 'interface' || kind === 'type',
    file,
  }))
  const listed = [...text.matchAll(LISTED)].flatMap(([, allTypes, names, from]) =>
    names!
      .split(',')
      .map((each) => each.trim())
      .filter(Boolean)
      .map((each) => {
        const name = each.replace(/^type /, '')
        const isType = allTypes !== undefined || each !== name
        return { name, isType, file: declaring(file, name, from) }
      }),
  )
  const all = [...declared, ...listed]
  // Overloads.
  return [...new Map(all.map((one) => [one.name, one])).values()]
}

function declaring(file: string, name: string, from: string | undefined): string {
  const text = readFileSync(file, 'utf8')
  const source =
    from ?? new RegExp(`import (?:type )?\\{[^}]*\\b${name}\\b[^}]*\\} from '([^']+)\\.js'`).exec(text)?.[1]
  if (source === undefined) return file
  const next = `${join(dirname(file), source)}.ts`
  return exportsOf(next).find((one) => one.name === name)?.file ?? next
}

/** The comment right above a declaration; of overloads, above the first. */
function docstringOf(text: string, name: string): string | undefined {
  const at = text.search(
    new RegExp(
      `^export (?:declare |abstract |async )*(?:function|class|interface|type|const) ${name}\\b`,
      'm',
    ),
  )
  const above = text.slice(0, Math.max(0, at))
  return /\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n$/.exec(above)?.[0]
}

/** Whether a function has a `throw` of its own; it may call what has one. */
function throwsItself(text: string, name: string): boolean {
  const declared = text.split(new RegExp(`^export (?:async )?function ${name}\\b`, 'm')).at(-1)!
  return declared !== text && /^\s+(?:if .*)?throw /m.test(declared.split('\n}\n', 1)[0]!)
}

describe.each(entries)('$entry', ({ file }) => {
  it('says what it is for', () => {
    expect(readFileSync(file, 'utf8')).toMatch(/^\/\*\*\n(?: \*.*\n)+ \*\n \* @module deadpeer\S*\n \*\/\n/)
  })

  const all = exportsOf(file)
  it.runIf(all.length > 0).each(all)('documents $name', ({ name, isType, file }) => {
    const comment = docstringOf(readFileSync(file, 'utf8'), name)
    expect(comment, `${name} has no comment`).toBeDefined()
    // A word or two says no more than the name.
    expect(comment!.length).toBeGreaterThan(20)
    if (throwsItself(readFileSync(file, 'utf8'), name)) expect(comment, `${name} throws`).toContain('@throws')
    if (!isType) expect(comment, `${name} shows no example`).toMatch(/@example\n \* ```ts\n/)
  })
})

it('reports an export without a comment', () => {
  expect(docstringOf('/** Other. */\nconst a = 1\nexport const b = 2\n', 'b')).toBeUndefined()
  expect(docstringOf('/** One. */\n\nexport const b = 2\n', 'b')).toBeUndefined()
  expect(docstringOf('/** Its own. */\nexport const b = 2\n', 'b')).toContain('Its own')
  expect(docstringOf('/** One. */\nexport const bb = 2\nexport const b = 2\n', 'b')).toBeUndefined()
})

it('covers all entry points and their exports', () => {
  const names = entries.flatMap(({ file }) => exportsOf(file).map(({ name }) => name))
  expect(names).toEqual(
    expect.arrayContaining(['tune', 'watch', 'TcpInfo', 'connector', 'hops', 'lossy', 'setUserTimeout']),
  )
  expect(names.length).toBeGreaterThan(100)
})

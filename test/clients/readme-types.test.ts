import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { examples as guideExamples } from '../support/guide-examples.js'
import { codeSpans, documents, parsePage, root, textOf } from '../support/pages.js'
import { exportsOf, isExpression, isUnknownName, moduleOf } from '../support/span-modules.js'

// Compiles the JavaScript examples of the README, and of the pages with the details, as strict TypeScript: each as it stands. The examples of
// the guide are in types.test.ts. Compiles what the pages name in code spans as well, such as `inspect(socket).profile`.

const folder = join(root, `test/clients/.examples/readme-${process.pid}`)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const parsed = documents.map((page) => ({ page, ...parsePage(textOf(page)) }))

const fences = parsed.flatMap(({ page, fences }) => fences.map((fence) => ({ page, ...fence })))

/** However the page spells the language. */
const code = fences.filter(({ language }) => /^(?:[cm]?[jt]sx?|javascript|typescript|node)$/i.test(language))

const examples = code
  .filter(({ page }) => page !== 'docs/guide.md')
  .map((fence) => ({ ...fence, name: `${basename(fence.page, '.md')}-${fence.line}.ts` }))

/** Code spans with a call or a property. */
const spans = parsed.flatMap(({ page, prose }) =>
  codeSpans(prose)
    .filter((span) => isExpression(span.code))
    .map((span, i) => ({
      name: `span-${basename(page, '.md')}-${i}.ts`,
      where: `${page}:${span.line}: ${span.code}`,
      code: span.code,
    })),
)

/** Spans with a name that does not exist in the package, and why. */
const foreign: Readonly<Record<string, string>> = {
  'plan({ within })': 'an example of a mistake that gets a suggestion',
  'probe({ attempts: 1 }, socket)': 'a call in the wrong form, beside the right one',
  'socket.freeSocketTimeout': 'a property that agentkeepalive reads',
  'tune(…, { bestEfort })': 'an example of a mistake that gets a suggestion',
  'tune({ count: 3 }, server)': 'a call in the wrong form, beside the right one',
}

/** The compiler's errors by the name of the file. An error may take several lines. */
function compile(): Map<string, string[]> {
  mkdirSync(folder, { recursive: true })
  for (const { name, code } of examples) writeFileSync(join(folder, name), code)
  for (const { name, code } of spans) writeFileSync(join(folder, name), moduleOf(code))
  const compilerOptions = {
    ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noEmit: true },
    ...{ target: 'es2023', module: 'nodenext', moduleDetection: 'force' },
    ...{ types: ['node'], skipLibCheck: true },
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }))
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [`${root}/node_modules/typescript/bin/tsc`, '--project', folder, '--pretty', 'false'],
    { cwd: folder, encoding: 'utf8' },
  )
  const found = new Map<string, string[]>()
  for (const error of `${stdout}${stderr}`.split(/\n(?!\s)/).filter((each) => each.trim() !== '')) {
    const [, name = 'no file'] = /^([^(\s]+)\(\d+,\d+\): error /.exec(error) ?? []
    found.set(name, [...(found.get(name) ?? []), error])
  }
  return found
}

const errors = compile()
const errorsOf = ({ name }: { name: string }) => errors.get(name) ?? []

describe('a code block', () => {
  it('has a language that the checks support, and nothing after it', () => {
    const known = ['', 'diff', 'dockerfile', 'haproxy', 'ini', 'js', 'json', 'nginx', 'sh', 'ts', 'yaml']
    const unknown = fences.filter(({ language, info }) => !known.includes(language) || info !== '')
    expect(unknown.map(({ page, line }) => `${page}:${line}`)).toEqual([])
  })

  it('of the guide is compiled by types.test.ts', () => {
    const compiled = guideExamples.filter(({ language }) => ['js', 'ts'].includes(language))
    expect(code.filter(({ page }) => page === 'docs/guide.md').map((fence) => fence.code)).toEqual(
      compiled.map((example) => example.code),
    )
  })
})

describe('an example', () => {
  it('is on the README and on each page about a verb', () => {
    const expected = [
      'README.md',
      ...['host', 'install', 'plan', 'probe', 'testing', 'tune', 'watch'].map((page) => `docs/${page}.md`),
    ]
    expect(examples.map(({ page }) => page)).toEqual(expect.arrayContaining(expected))
  })

  it.each(examples)('compiles with strict TypeScript, pasted alone: $page:$line', (example) => {
    expect(errorsOf(example)).toEqual([])
  })

  it('causes no compiler error outside the examples', () => {
    const names = [...examples, ...spans].map(({ name }) => name)
    expect([...errors.keys()].filter((name) => !names.includes(name))).toEqual([])
  })
})

describe('a function, property or option that a page names in a code span', () => {
  it('exists', () => {
    expect(spans.length).toBeGreaterThan(100)
    // After a syntax error the compiler reports nothing else.
    expect([...errors.values()].flat().filter((error) => /error TS1\d{3}:/.test(error))).toEqual([])
    const unknown = spans.filter((span) => errorsOf(span).some(isUnknownName))
    expect(unknown.filter((span) => !(span.code in foreign)).map(({ where }) => where)).toEqual([])
  })

  it('is listed as foreign only if it does not exist', () => {
    const unknown = spans.filter((span) => errorsOf(span).some(isUnknownName)).map((span) => span.code)
    expect(unknown).toEqual(expect.arrayContaining(Object.keys(foreign)))
  })
})

describe('a module of the package that a page names', () => {
  const { exports } = JSON.parse(textOf('package.json')) as { exports: object }
  const entries = Object.keys(exports).map((key) => key.replace(/^\.(?=\/|$)/, 'deadpeer'))

  it('exists', () => {
    const named = documents.flatMap((page) =>
      [...textOf(page).matchAll(/(?<=[`'" ])deadpeer\/[\w./-]*\w/g)].map(([name]) => `${page}: ${name}`),
    )
    expect(named.length).toBeGreaterThan(30)
    expect(named.filter((each) => !entries.includes(each.split(': ')[1]!))).toEqual([])
  })

  it('exports each name that the page imports by require', () => {
    const required = documents.flatMap((page) =>
      [...textOf(page).matchAll(/\{([^{}]*)\} = require\('(deadpeer[^']*)'\)/g)].flatMap(
        ([, names, module]) =>
          names!.split(',').map((name) => ({ page, module: module!, name: name.split(':')[0]!.trim() })),
      ),
    )
    expect(required.filter(({ module, name }) => !exportsOf[module]?.includes(name))).toEqual([])
  })
})

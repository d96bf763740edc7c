import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { root } from '../support/guide-examples.js'

// Compiles the JavaScript examples of the README, and of the pages with the details, as strict TypeScript: each as it stands. The examples of
// the guide are in types.test.ts. Compiles what the pages name in code spans as well, such as `inspect(socket).profile`.

const folder = join(root, `test/clients/.examples/readme-${process.pid}`)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const documents = [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]
const textOf = (page: string) => readFileSync(join(root, page), 'utf8')
const pages = documents.filter((page) => page !== 'docs/guide.md' && /^```js$/m.test(textOf(page)))

const examples = pages.flatMap((page) =>
  [...textOf(page).matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, code = ''], index) => ({
    name: `${basename(page, '.md')}-${index}.ts`,
    page,
    code,
  })),
)

/** What stands for the objects that the pages talk of. */
const named = `
import { capabilities, inspect, type Death, type Watcher } from 'deadpeer'
import { listSockets } from 'deadpeer/host'
import { HttpAgent } from 'deadpeer/http'
declare const socket: import('node:net').Socket
declare const watcher: Watcher
declare const death: Death
declare const agent: HttpAgent
const list = await listSockets()
const snapshot = () => agent.snapshot()
`

/** Code spans that name a property of a result. */
const properties = documents.flatMap((page) =>
  [
    ...textOf(page).matchAll(
      /`((?:inspect\(socket\)|capabilities\(\)|snapshot\(\)|(?:death|watcher|agent|list)(?=\.))[\w.()]+)`/g,
    ),
  ].map(([, code]) => ({ page, code: code! })),
)

function compile(): string[] {
  mkdirSync(folder, { recursive: true })
  const lines = properties.map(({ page, code }) => `void ${code} // ${page}\n`)
  writeFileSync(join(folder, 'named.ts'), named + lines.join(''))
  for (const { name, code } of examples) writeFileSync(join(folder, name), code)
  const compilerOptions = {
    ...{ strict: true, exactOptionalPropertyTypes: true, noEmit: true },
    ...{
      target: 'es2023',
      module: 'nodenext',
      moduleDetection: 'force',
      types: ['node'],
      skipLibCheck: true,
    },
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }))
  const { stdout } = spawnSync(
    process.execPath,
    [`${root}/node_modules/typescript/bin/tsc`, '--project', folder, '--pretty', 'false'],
    { cwd: folder, encoding: 'utf8' },
  )
  return stdout.split('\n').filter((line) => /^\S/.test(line))
}

const errors = compile()

describe('an example', () => {
  it('is on the README and on each page about a verb', () => {
    const expected = [
      'README.md',
      ...['host', 'install', 'plan', 'probe', 'testing', 'tune', 'watch'].map((page) => `docs/${page}.md`),
    ]
    expect(pages).toEqual(expect.arrayContaining(expected))
  })

  it.each(examples)('compiles with strict TypeScript, pasted alone: $name', ({ name }) => {
    expect(errors.filter((line) => line.startsWith(`${name}(`))).toEqual([])
  })

  it('leaves no error outside the examples', () => {
    expect(errors.filter((line) => !/^([\w-]+-\d+|named)\.ts\(/.test(line))).toEqual([])
  })
})

describe('a property that a page names', () => {
  it('exists', () => {
    expect(properties.length).toBeGreaterThan(10)
    expect(errors.filter((line) => line.startsWith('named.ts('))).toEqual([])
  })
})

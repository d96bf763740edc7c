import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { program } from '../../src/cli/program.js'

// What the documents point to is there.

const root = join(import.meta.dirname, '../..')
const documents = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]

interface Link {
  readonly path: string
  readonly anchor: string | undefined
}

function linksIn(text: string): Link[] {
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!)
  return links
    .filter((link) => !/^[a-z]+:/.test(link))
    .map((link) => {
      const [path, anchor] = link.split('#')
      return { path: path!, anchor }
    })
}

/** As the usual renderers name headings. */
function anchorsIn(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

describe.each(documents)('%s', (name) => {
  const text = readFileSync(join(root, name), 'utf8')

  it('links to what exists', () => {
    for (const { path, anchor } of linksIn(text)) {
      const target = path === '' ? join(root, name) : join(root, dirname(name), path)
      expect(existsSync(target), `${path} does not exist`).toBe(true)
      if (anchor) expect(anchorsIn(readFileSync(target, 'utf8')), `${path}#${anchor}`).toContain(anchor)
    }
  })
})

/** As package.json says what the npm package has. */
const { files } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { files: string[] }
const excluded = files.filter((file) => file.startsWith('!')).map((file) => file.slice(1))
const isPacked = (path: string) =>
  ['README.md', 'LICENSE', 'package.json', 'CHANGELOG.md'].includes(path) ||
  (path.startsWith('docs/') && !excluded.some((each) => path === each || path.startsWith(`${each}/`)))

describe('a document of the package', () => {
  it.each(documents.filter(isPacked))('links only to what the package has: %s', (name) => {
    const targets = linksIn(readFileSync(join(root, name), 'utf8')).flatMap(({ path }) =>
      path === '' ? [] : [join(dirname(name), path)],
    )
    expect(targets.filter((path) => !isPacked(path))).toEqual([])
  })
})

describe('an option of a command that a document names', () => {
  const flags = new Map(
    program.commands.map((command) => [
      command.name(),
      new Set(command.options.flatMap(({ short, long }) => [short, long])),
    ]),
  )
  const lines = documents.flatMap((name) =>
    readFileSync(join(root, name), 'utf8')
      .split('\n')
      .flatMap((line) => [...line.matchAll(/\bdeadpeer (\w+)((?: [^`#|]*)?)/g)])
      .map(([, command, rest]) => ({ name, command: command!, rest: rest!.split(/ -- | #/)[0]! }))
      .filter(({ command }) => flags.has(command)),
  )

  it('exists', () => {
    const named = lines.flatMap(({ name, command, rest }) =>
      [...rest.matchAll(/(?<=^|\s|\[)(--?[a-z][\w.-]*)/g)].map(([, flag]) => ({
        name,
        command,
        flag: flag!,
      })),
    )
    expect(named.length).toBeGreaterThan(40)
    const common = ['--help', '-h']
    expect(
      named.filter(({ command, flag }) => !flags.get(command)!.has(flag) && !common.includes(flag)),
    ).toEqual([])
  })
})

describe('CHANGELOG.md', () => {
  const lines = readFileSync(join(root, 'CHANGELOG.md'), 'utf8').split('\n')

  it('says nothing twice', () => {
    const items = lines.filter((line) => line.startsWith('- '))
    expect(items.filter((line, i) => items.indexOf(line) !== i)).toEqual([])
  })
})

describe('docs/semantics.md', () => {
  const text = readFileSync(join(root, 'docs/semantics.md'), 'utf8')
  const rows = text.split('\n').filter((line) => line.startsWith('| ') && !/^\| (-|what|row)/.test(line))

  it('has a test for each row', () => {
    expect(rows.length).toBeGreaterThan(50)
    for (const row of rows) expect(testsNamedIn(row), row).not.toEqual([])
  })

  it('names tests that exist', () => {
    for (const path of testsNamedIn(text)) expect(existsSync(join(root, path)), path).toBe(true)
  })

  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 17, 18])(
    'is named in the titles of its tests by row %d',
    (number) => {
      const row = rows.find((line) => line.startsWith(`| ${number} |`))!
      for (const path of testsNamedIn(row)) {
        expect(readFileSync(join(root, path), 'utf8')).toMatch(new RegExp(`rows? ${number}\\b`))
      }
    },
  )
})

/** Not links: the npm package has the page, but not the tests. */
function testsNamedIn(text: string): string[] {
  return [...text.matchAll(/`([a-z]+\/[\w-]+(?:\.test\.ts|_test\.cc))`/g)].map(([, path]) => `test/${path}`)
}

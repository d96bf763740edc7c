import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { program } from '../../src/cli/program.js'
import { codeSpans, documents, parsePage, root, textOf } from '../support/pages.js'

// What the documents point to exists. The functions and properties that they name are in clients/readme-types.test.ts.

const pages = new Map(documents.map((name) => [name, parsePage(textOf(name))]))
const { files, scripts } = JSON.parse(textOf('package.json')) as {
  files: string[]
  scripts: Record<string, string>
}

interface Link {
  readonly path: string
  readonly anchor: string | undefined
}

/** Of Markdown in line and by reference, and of HTML. */
function linksIn(prose: string): Link[] {
  const text = prose.replace(/`[^`\n]*`/g, 'code')
  const links = [
    ...text.matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g),
    ...text.matchAll(/^\[[^\]]+\]: <?([^\s>]+)/gm),
    ...text.matchAll(/\b(?:href|src|srcset)="([^"\s]+)/g),
  ].map(([, link]) => link!)
  return links
    .filter((link) => !/^[a-z]+:/.test(link))
    .map((link) => {
      const [path, anchor] = link.split('#')
      return { path: path!, anchor }
    })
}

/** As the usual renderers name headings: a heading that comes again gets a number. */
function anchorsIn(prose: string): string[] {
  const names = [...prose.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
  return names.map((name, i) => {
    const before = names.slice(0, i).filter((each) => each === name).length
    return before > 0 ? `${name}-${before}` : name
  })
}

describe.each(documents)('%s', (name) => {
  const { prose } = pages.get(name)!

  it('links to what exists', () => {
    for (const { path, anchor } of linksIn(prose)) {
      const target = path === '' ? name : join(dirname(name), path)
      expect(existsSync(join(root, target)), `${path} does not exist`).toBe(true)
      if (anchor) expect(anchorsIn(parsePage(textOf(target)).prose), `${path}#${anchor}`).toContain(anchor)
    }
  })
})

/** Whether a path, or a folder of it, matches a pattern of package.json's `files`. */
function matches(path: string, pattern: string): boolean {
  const expression = pattern
    .split('/')
    .map((part) => part.replace(/[.+^$()[\]{}|\\]/g, '\\$&').replaceAll('*', '[^/]*'))
    .join('/')
    .replaceAll('[^/]*[^/]*/', '(?:.*/)?')
  return new RegExp(`^${expression}(?:/|$)`).test(path)
}

/** As package.json says what the npm package has. */
function isPacked(path: string): boolean {
  if (['README.md', 'LICENSE', 'package.json'].includes(path)) return true
  const last = files.findLast((pattern) => matches(path, pattern.replace('!', '')))
  return last !== undefined && !last.startsWith('!')
}

describe('a document of the package', () => {
  it.each(documents.filter(isPacked))('links only to what the package has: %s', (name) => {
    const targets = linksIn(pages.get(name)!.prose).flatMap(({ path }) =>
      path === '' ? [] : [join(dirname(name), path)],
    )
    expect(targets.filter((path) => !isPacked(path))).toEqual([])
  })

  it('is known by the patterns of package.json', () => {
    expect(
      ['docs/guide.md', 'docs/demo.svg', 'dist/cli/main.js', 'CHANGELOG.md'].filter(isPacked),
    ).toHaveLength(4)
    const left = ['docs/api/index.md', 'docs/demo.mjs', 'docs/internals.md', 'SECURITY.md']
    expect(left.filter(isPacked)).toEqual([])
  })
})

const spans = [...pages].flatMap(([name, { prose }]) =>
  codeSpans(prose).map(({ line, code }) => ({ where: `${name}:${line}`, code })),
)

/** Code spans, and the lines of code blocks. */
const lines = [
  ...spans,
  ...[...pages].flatMap(([name, { fences }]) =>
    fences.flatMap((fence) =>
      fence.code
        .replaceAll(/\\\n\s*/g, '')
        .split('\n')
        .map((code, i) => ({ where: `${name}:${fence.line + 1 + i}`, code })),
    ),
  ),
]

describe('a command of deadpeer that a document names', () => {
  const commands = new Map(program.commands.map((command) => [command.name(), command]))
  const common = ['--help', '-h']
  const flagsOf = (name: string) => [
    ...common,
    ...(commands.get(name)?.options.flatMap(({ short, long }) => [short, long]) ?? []),
  ]

  /** `deadpeer ls --json`, and in a span also `ls --json`. Up to the program that it runs, a comment, or another command. */
  const named = [
    ...lines.flatMap(({ where, code }) =>
      [...code.matchAll(/(?:^|npx |[|&;$(] *|exec |sudo |\] |'" )deadpeer ([a-z][\w-]*)([^`#|&;]*)/g)].map(
        ([, command, rest]) => ({ where, command: command!, rest: rest! }),
      ),
    ),
    ...spans.flatMap(({ where, code }) => {
      const [, command, rest] = /^([a-z]+)( .*--?[a-z].*)$/.exec(code) ?? []
      return command && commands.has(command) ? [{ where, command, rest: rest! }] : []
    }),
  ]

  it('exists', () => {
    expect(named.length).toBeGreaterThan(60)
    expect(named.filter(({ command }) => !commands.has(command))).toEqual([])
  })

  it('has the options that are named', () => {
    const flags = named.flatMap(({ where, command, rest }) =>
      [...rest.split(/ --(?: |$)/)[0]!.matchAll(/(?<=^|[\s[])(--?[a-z][\w-]*)/g)].map(([, flag]) => ({
        where,
        command,
        flag: flag!,
      })),
    )
    expect(flags.length).toBeGreaterThan(40)
    expect(flags.filter(({ command, flag }) => !flagsOf(command).includes(flag))).toEqual([])
  })

  /** Options of other programs, and of the scripts of the repository. */
  const foreign = [
    '--all',
    '--allow-addons',
    '--allow-fs-read',
    '--banner',
    '--check',
    '--compile',
    '--external',
    '--format',
    '--ignore-scripts',
    '--import',
    '--kvm',
    '--loader',
    '--omit',
    '--require',
    '--sysctl',
    '--undici',
    '--version',
    '--ws',
  ]

  it('has every option that is named without its command', () => {
    const all = [...commands.keys()].flatMap(flagsOf)
    const alone = spans.flatMap(({ where, code }) => {
      const [flag] = /^--?[a-z][\w-]*/.exec(code) ?? []
      return flag ? [{ where, flag }] : []
    })
    expect(alone.length).toBeGreaterThan(10)
    expect(alone.filter(({ flag }) => !all.includes(flag) && !foreign.includes(flag))).toEqual([])
  })
})

describe('a script that a document names', () => {
  it('is in package.json', () => {
    const named = lines.flatMap(({ where, code }) =>
      [...code.matchAll(/\bnpm (?:run ([\w:-]+)|(test)\b)/g)].map(([, run, test]) => ({
        where,
        script: run ?? test!,
      })),
    )
    expect(named.length).toBeGreaterThan(10)
    expect(named.filter(({ script }) => !(script in scripts))).toEqual([])
  })
})

describe('a file of the repository that a document names', () => {
  const repository = ['src', 'native', 'bundle', 'test', 'docs']
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true }).map((path) => `/${folder}/${path}`),
    )
    .concat(readdirSync(root).map((name) => `/${name}`))

  it('exists', () => {
    const named = spans
      .map(({ where, code }) => ({ where, path: code.replace(/:\d+$/, '') }))
      .filter(({ path }) => /^[\w./*-]+\.(?:ts|mjs|mts|cc|h|md|svg)$/.test(path) && !/NAME|\*/.test(path))
    expect(named.length).toBeGreaterThan(100)
    expect(named.filter(({ path }) => !repository.some((each) => each.endsWith(`/${path}`)))).toEqual([])
  })
})

describe('a field, option or error code that a document names', () => {
  /** Names of other software, and of files that are not in the package. */
  const foreign = [
    ...[
      'ERR_SOCKET_TIMEOUT',
      'createSocketCount',
      'freeSocketKeepAliveTimeout',
      'statusChanged',
      'timeoutSocketCount',
    ],
    ...['DEADPEER_TEST_FULL', 'devDependencies', 'drainDelay', 'errorCodes', 'moduleResolution'],
  ]

  it('is in the source', () => {
    const source = ['src', 'native'].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true })
        .filter((path) => /\.(?:ts|cc|h)$/.test(`${path}`))
        .map((path) => readFileSync(join(root, folder, `${path}`), 'utf8')),
    )
    const words = new Set(source.join('\n').match(/[A-Za-z_$][\w$]*/g))
    const named = spans.filter(({ code }) => /^[a-z]+[A-Z]\w*$|^(?:ERR|DEADPEER)_\w+$/.test(code))
    expect(named.length).toBeGreaterThan(200)
    expect(named.filter(({ code }) => !words.has(code) && !foreign.includes(code))).toEqual([])
  })
})

describe('CHANGELOG.md', () => {
  const { prose } = pages.get('CHANGELOG.md')!

  it('says nothing twice', () => {
    const items = prose
      .split(/\n(?=\s*[-*] |#)|\n\n/)
      .map((item) =>
        item
          .replace(/^[\s*-]+/, '')
          .replace(/\s+/g, ' ')
          .trim()
          .toLowerCase(),
      )
      .filter((item) => item !== '' && !/^#|:$/.test(item))
    expect(items.length).toBeGreaterThan(50)
    expect(items.filter((item, i) => items.indexOf(item) !== i)).toEqual([])
  })

  it('has each version once, and each heading once in a version', () => {
    const versions = prose.split(/^## /m).slice(1)
    const headings = versions.flatMap((version) => {
      const [name] = version.split('\n')
      return [name!, ...[...version.matchAll(/^#{3,} (.*)$/gm)].map(([, heading]) => `${name}: ${heading}`)]
    })
    expect(headings.filter((heading, i) => headings.indexOf(heading) !== i)).toEqual([])
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

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const cli = fileURLToPath(new URL('../../src/cli', import.meta.url))
const commands = readdirSync(join(cli, 'commands'))
const files: readonly string[] = readdirSync(cli, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
)

interface Import {
  readonly file: string
  readonly isDynamic: boolean
  readonly isType: boolean
}

const importsOf = new Map(files.map((file) => [file, readImports(file)]))

/** Imports of files in src/cli. */
function readImports(file: string): Import[] {
  const text = readFileSync(join(cli, file), 'utf8')
  const statements = text.matchAll(/^(?:import|export)( type)? [^']*? from '(\.[^']+)\.js'/gm)
  const calls = text.matchAll(/\bimport\('(\.[^']+)\.js'\)/g)
  return [
    ...[...statements].map(([, type, target]) => ({ target, isDynamic: false, isType: type !== undefined })),
    ...[...calls].map(([, target]) => ({ target, isDynamic: true, isType: false })),
  ]
    .map(({ target, ...how }) => ({
      file: relative(cli, join(cli, dirname(file), `${target}.ts`)),
      ...how,
    }))
    .filter((each) => files.includes(each.file))
}

/** The command that a file belongs to; `undefined` for a file that all commands share. */
function commandOf(file: string): string | undefined {
  return /^commands\/([^/]+)\//.exec(file)?.[1]
}

/** The files that are loaded with these, without a dynamic import. */
function loadedWith(...entries: string[]): string[] {
  const loaded = new Set<string>()
  const visit = (file: string) => {
    if (loaded.has(file)) return
    loaded.add(file)
    for (const each of importsOf.get(file)!) if (!each.isDynamic && !each.isType) visit(each.file)
  }
  entries.forEach(visit)
  return [...loaded]
}

describe.each(commands)('the command %s', (command) => {
  const declaration = `commands/${command}/command.ts`

  it('imports no file of another command', () => {
    const others = files
      .filter((file) => commandOf(file) === command)
      .flatMap((file) => importsOf.get(file)!.map((each) => each.file))
      .filter((file) => ![undefined, command].includes(commandOf(file)))
    expect(others).toEqual([])
  })

  it('is loaded by a dynamic import of its declaration only', () => {
    const code = importsOf.get(declaration)!.filter(({ isDynamic }) => isDynamic)
    expect(code.map(({ file }) => commandOf(file))).toEqual([command])
    expect(loadedWith('main.ts')).toContain(declaration)
    expect(loadedWith('main.ts')).not.toContain(code[0]!.file)
  })
})

describe('src/cli/lib', () => {
  const shared = files.filter((file) => file.startsWith('lib/'))

  it('imports no file of a command', () => {
    const imported = shared.flatMap((file) => importsOf.get(file)!).map(({ file }) => commandOf(file))
    expect(imported.filter((command) => command !== undefined)).toEqual([])
  })

  it.each(shared)('%s serves more than one command', (name) => {
    const users = commands.filter((command) => {
      const own = files.filter((file) => commandOf(file) === command)
      const direct = own.flatMap((file) => importsOf.get(file)!.map((each) => each.file))
      return [...direct, ...loadedWith(...own)].includes(name)
    })
    const isOfProgram = ['main.ts', 'program.ts'].some((file) =>
      importsOf.get(file)!.some((each) => each.file === name),
    )
    if (!isOfProgram) expect(users.length).toBeGreaterThan(1)
  })
})

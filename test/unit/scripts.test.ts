import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }
const names = Object.keys(scripts)

/** npm runs these by itself, and here that is intended. */
const hooks = ['prepack']

/** The commands of npm whose purpose is to run the script of that name. */
const runners = ['test', 'start', 'stop', 'restart']

describe('the scripts in package.json', () => {
  it('do not have the names of npm commands', () => {
    const help = spawnSync('npm', ['--help'], { encoding: 'utf8' }).stdout
    const commands = /All commands:\n\n(.*?)\n\n/s
      .exec(help)![1]!
      .split(/[\s,]+/)
      .filter(Boolean)
    expect(commands).toEqual(expect.arrayContaining(['audit', 'docs', ...runners]))
    expect(names.filter((name) => commands.includes(name) && !runners.includes(name))).toEqual([])
  })

  it('are never run by npm before or after another script', () => {
    const events = [
      ...names,
      'install',
      'pack',
      'publish',
      'publishOnly',
      'version',
      'uninstall',
      'shrinkwrap',
    ]
    const implicit = [
      ...events.flatMap((event) => [`pre${event}`, `post${event}`]),
      'prepare',
      'install',
      'dependencies',
    ]
    expect(names.filter((name) => implicit.includes(name))).toEqual(hooks)
  })

  it('are the ones that the documents name', () => {
    const documents = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'prebuilds/README.md', '.ci/run']
    for (const document of [...documents, '.github/workflows/ci.yml', '.github/workflows/release.yml']) {
      for (const [, name] of readFileSync(document, 'utf8').matchAll(/npm run ([a-z][\w:-]*)/g))
        expect(names, document).toContain(name)
    }
  })
})

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { root } from '../support/guide-examples.js'

// Compiles the JavaScript examples of the README, and of the pages with the details, as strict TypeScript: each as it stands.

const folder = join(root, `test/clients/.examples/readme-${process.pid}`)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const pages = ['install', 'tune', 'watch', 'probe', 'plan', 'host', 'testing'].map(
  (page) => `docs/${page}.md`,
)

const examples = ['README.md', ...pages].flatMap((page) =>
  [...readFileSync(join(root, page), 'utf8').matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(
    ([, code = ''], index) => ({ name: `${basename(page, '.md')}-${index}.ts`, page, code }),
  ),
)

function compile(): string[] {
  mkdirSync(folder, { recursive: true })
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
  it.each(pages)('is on the page %s', (page) => {
    expect(examples.filter((example) => example.page === page)).not.toEqual([])
  })

  it.each(examples)('compiles with strict TypeScript, pasted alone: $name', ({ name }) => {
    expect(errors.filter((line) => line.startsWith(`${name}(`))).toEqual([])
  })

  it('leaves no error outside the examples', () => {
    expect(errors.filter((line) => !/^\w+-\d+\.ts\(/.test(line))).toEqual([])
  })
})

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { root } from '../support/guide-examples.js'

// Compiles the JavaScript examples of the README as strict TypeScript. What an example takes from the reader's program is declared.

const folder = join(root, `test/clients/.examples/readme-${process.pid}`)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const declarations = `
declare global {
  const socket: import('node:net').Socket
  const peer: import('node:net').Socket
  const pool: import('node:net').Socket[]
  const control: import('node:net').Socket
  const server: import('node:net').Server
  const watcher: import('deadpeer').Watcher
  const agent: import('deadpeer/http').HttpAgent
  const url: string
  const axios: { get(url: string, options: object): Promise<{ data: string }> }
}
export {}
`

const examples = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(
  ([, code = ''], index) => ({ name: `${index}.ts`, code, what: code.split('\n')[0]! }),
)

function compile(): string[] {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'declarations.ts'), declarations)
  for (const { name, code } of examples) writeFileSync(join(folder, name), `${namesUsed(code)}${code}`)
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

/** Names of the package that an earlier example has imported. */
function namesUsed(code: string): string {
  const names = ['tune', 'inspect', 'watch'].filter(
    (name) =>
      new RegExp(`\\b${name}\\(`).test(code) && !new RegExp(`import .*\\b${name}\\b.* from`).test(code),
  )
  return names.length > 0 ? `import { ${names.join(', ')} } from 'deadpeer'\n` : ''
}

const errors = compile()

describe('an example of the README', () => {
  it.each(examples)('compiles with strict TypeScript: $name, $what', ({ name }) => {
    expect(errors.filter((line) => line.startsWith(`${name}(`))).toEqual([])
  })

  it('leaves no error outside the examples', () => {
    expect(errors.filter((line) => !/^\d+\.ts\(/.test(line))).toEqual([])
  })
})

import { spawnSync } from 'node:child_process'
import { dirname } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { examples, removeExamples, root, writeExample } from '../support/guide-examples.js'

// Compiles every JavaScript example of the guide as TypeScript, in one run of the compiler.

afterAll(removeExamples)

const checked = examples
  .filter(({ language }) => language === 'js' || language === 'ts')
  .map(({ heading, code }, index) => {
    const isCommonJs = /^\/\/ \S+\.cjs$/m.test(code)
    return { heading, name: `${index}.${isCommonJs ? 'cts' : 'ts'}`, code }
  })
const errors = compile()

/** The compiler's errors, by the name of the file. */
function compile(): Map<string, string[]> {
  for (const { name, code } of checked) writeExample(`types/${name}`, code)
  const project = writeExample(
    'types/tsconfig.json',
    JSON.stringify({
      compilerOptions: {
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        target: 'es2023',
        module: 'nodenext',
        moduleDetection: 'force',
        types: ['node'],
        skipLibCheck: true,
        noEmit: true,
      },
    }),
  )
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [`${root}/node_modules/typescript/bin/tsc`, '--project', project, '--pretty', 'false'],
    { cwd: dirname(project), encoding: 'utf8' },
  )
  const found = new Map<string, string[]>()
  for (const line of `${stdout}${stderr}`.split('\n').filter((each) => /^\S/.test(each))) {
    const [, name = 'no file'] = /^(\S+)\(\d+,\d+\): error /.exec(line) ?? []
    found.set(name, [...(found.get(name) ?? []), line])
  }
  return found
}

describe('an example of the guide', () => {
  it.each(checked)(
    'compiles with strict TypeScript and the types of the library: $heading ($name)',
    ({ name }) => {
      expect(errors.get(name) ?? []).toEqual([])
    },
  )

  it('causes no compiler error outside the examples', () => {
    const names = checked.map(({ name }) => name)
    expect([...errors].filter(([name]) => !names.includes(name))).toEqual([])
  })
})

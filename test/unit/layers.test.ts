import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const src = fileURLToPath(new URL('../../src', import.meta.url))

/** The layers of src/, the highest first. A folder imports only from itself and from the layers below it. */
const layers = [
  ['cli'],
  ['index', 'net-keepalive', 'register'],
  ['metrics'],
  ['undici'],
  ['http'],
  ['host'],
  ['testing'],
  ['capabilities', 'path'],
  ['watch'],
  ['probe'],
  ['inspect', 'tune'],
  ['overlay'],
  ['connection'],
  ['profile'],
  ['kernel'],
  ['options'],
  ['errors', 'format'],
]

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
  .map((file) => join(src, file))

const importsOf = new Map(files.map((file) => [file, readImports(file)]))

/** Type imports too. */
function readImports(file: string): string[] {
  const specifiers = readFileSync(file, 'utf8').matchAll(/(?:from|import\()\s*'(\.[^']+)\.js'/g)
  return [...specifiers].map(([, target]) => join(dirname(file), `${target}.ts`))
}

function folderOf(file: string): string {
  const [first = ''] = relative(src, file).split('/')
  return first.replace(/\.ts$/, '')
}

function layerOf(folder: string): number {
  return layers.findIndex((layer) => layer.includes(folder))
}

describe('the layers of the source tree', () => {
  it.each(files.map((file) => ({ name: relative(src, file), file })))(
    'let $name import only from the layers below it',
    ({ file }) => {
      const folder = folderOf(file)
      expect(layerOf(folder), `${folder} has no layer`).toBeGreaterThanOrEqual(0)
      for (const target of importsOf.get(file)!) {
        if (folderOf(target) === folder) continue
        expect(layerOf(folderOf(target)), `imports ${relative(src, target)}`).toBeGreaterThan(layerOf(folder))
      }
    },
  )
})

describe('the files of the source tree', () => {
  it('import each other in no cycle, type imports included', () => {
    const cycles: string[] = []
    const isDone = new Set<string>()
    const path: string[] = []
    const visit = (file: string) => {
      const start = path.indexOf(file)
      if (start >= 0) {
        cycles.push([...path.slice(start), file].map((each) => relative(src, each)).join(' → '))
        return
      }
      if (isDone.has(file)) return
      path.push(file)
      for (const target of importsOf.get(file) ?? []) visit(target)
      path.pop()
      isDone.add(file)
    }
    for (const file of files) visit(file)
    expect(cycles).toEqual([])
  })
})

describe('the native core in C++', () => {
  const core = fileURLToPath(new URL('../../native/core', import.meta.url))
  it.each(readdirSync(core))('includes nothing of Node-API or the binding in %s', (file) => {
    expect(readFileSync(join(core, file), 'utf8')).not.toMatch(/napi|node_api|binding\//i)
  })
})

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const src = fileURLToPath(new URL('../../src', import.meta.url))

/** The rooms of the house, the highest first. Each may use what is below it, and itself. */
const floors = [
  ['cli'],
  ['index', 'net-keepalive', 'register'],
  ['metrics'],
  ['undici'],
  ['http'],
  ['host'],
  ['testing'],
  ['verbs'],
  ['detect', 'path'],
  ['socket'],
  ['kernel'],
  ['options'],
  ['errors'],
]
const verbs = ['tune', 'inspect', 'probe', 'watch', 'plan', 'sample-tcp-info', 'capabilities']

function roomOf(file: string): string {
  const [first = ''] = relative(src, file).split('/')
  const name = first.replace(/\.ts$/, '')
  return verbs.includes(name) ? 'verbs' : name
}

function floorOf(room: string): number {
  return floors.findIndex((floor) => floor.includes(room))
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
  .map((file) => join(src, file))

describe('a room imports only from rooms below it', () => {
  it.each(files.map((file) => [relative(src, file), file]))('%s', (_, file) => {
    const room = roomOf(file)
    expect(floorOf(room), `${room} has no place in the house`).toBeGreaterThanOrEqual(0)
    for (const [, target] of readFileSync(file, 'utf8').matchAll(/(?:from|import\()\s*'(\.[^']+)\.js'/g)) {
      const other = roomOf(join(dirname(file), `${target}.ts`))
      if (other === room) continue
      expect(floorOf(other), `imports ${target}`).toBeGreaterThan(floorOf(room))
    }
  })
})

describe('the native core', () => {
  const core = fileURLToPath(new URL('../../native/core', import.meta.url))
  it.each(readdirSync(core))('%s knows neither Node-API nor the binding', (file) => {
    expect(readFileSync(join(core, file), 'utf8')).not.toMatch(/napi|node_api|binding\//i)
  })
})

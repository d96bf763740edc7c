import { describe, expect, it } from 'vitest'
import { NOBODY, OTHERS, ProcessGroups, UNKNOWN } from '../../src/cli/commands/export/process-groups.js'

describe('process groups', () => {
  it('are the first 20 names, which stay the same among thousands of names', () => {
    const groups = new ProcessGroups()
    const first = Array.from({ length: 20 }, (_, i) => groups.of(`first-${i}`))
    expect(first).toEqual(first.map((_, i) => `first-${i}`))
    for (let i = 0; i < 5_000; i++) expect(groups.of(`later-${i}`)).toBe(OTHERS)
    expect(groups.of('first-19')).toBe('first-19')
    expect(groups.names).toEqual([...first, OTHERS, UNKNOWN, NOBODY])
  })

  it('are only the names that the user lists, if any', () => {
    const groups = new ProcessGroups(['nginx'])
    expect(['nginx', 'node'].map((name) => groups.of(name))).toEqual(['nginx', OTHERS])
    expect(groups.names).toEqual(['nginx', OTHERS, UNKNOWN, NOBODY])
  })

  it('have a name for all other processes that no process can have: it is longer than 15 bytes', () => {
    const groups = new ProcessGroups(['nginx'])
    for (const name of [OTHERS, UNKNOWN, NOBODY]) {
      expect(Buffer.byteLength(name)).toBeGreaterThan(15)
      expect(groups.of(name)).toBe(name)
    }
  })

  it('have names without terminal escapes and line ends', () => {
    expect(new ProcessGroups().of('evil\n\x1b[2J')).toBe('evil??[2J')
  })
})

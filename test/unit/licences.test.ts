import { describe, expect, it } from 'vitest'
import { exceptions, isPermissive, judgeLicences, licenceOf } from '../supply/licences.mjs'

describe('the licence of a package', () => {
  it.each([
    'MIT',
    'MIT OR Apache-2.0',
    '(MIT AND BSD-3-Clause)',
    'GPL-3.0 OR ISC',
    '(GPL-2.0 AND MIT) OR (0BSD)',
  ])('is permissive if it is %s', (expression) => expect(isPermissive(expression)).toBe(true))

  it.each([
    'GPL-3.0',
    'MIT AND GPL-2.0',
    '(MIT OR ISC) AND LGPL-3.0-only',
    'UNLICENSED',
    'SEE LICENSE IN LICENSE.md',
    'MIT WITH a-condition',
    '(MIT',
    '',
  ])('is not permissive if it is %s', (expression) => expect(isPermissive(expression)).toBe(false))

  it('is found in older manifests too', () => {
    expect(licenceOf({ license: 'MIT' })).toBe('MIT')
    expect(licenceOf({ license: { type: 'ISC' } })).toBe('ISC')
    expect(licenceOf({ licenses: [{ type: 'MIT' }, { type: 'GPL-2.0' }] })).toBe('(MIT OR GPL-2.0)')
    expect(licenceOf({ licenses: ['MIT'] })).toBe('MIT')
    expect(licenceOf({})).toBeUndefined()
  })
})

describe('a dependency', () => {
  const of = (name: string, licence: string | undefined, isRuntime = false) => ({
    name,
    version: '1.0.0',
    licence,
    isRuntime,
  })
  const excepted = of('lightningcss', 'MPL-2.0')

  it('has a permissive licence, or is excepted if it is not shipped', () => {
    expect(judgeLicences([of('a', 'MIT', true), excepted])).toEqual([])
    expect(judgeLicences([excepted, { ...excepted, isRuntime: true }])).toEqual([
      'lightningcss@1.0.0 is under MPL-2.0, and ships to users',
    ])
    expect(judgeLicences([excepted, of('lightning', 'MPL-2.0')])).toHaveLength(1)
    expect(judgeLicences([excepted, of('a', 'GPL-3.0')])).toEqual(['a@1.0.0 is under GPL-3.0'])
    expect(judgeLicences([excepted, of('a', undefined)])).toEqual(['a@1.0.0 names no licence'])
  })

  it('has no exception that is not needed', () => {
    expect(judgeLicences([of('a', 'MIT')])).toHaveLength(exceptions.length)
  })
})

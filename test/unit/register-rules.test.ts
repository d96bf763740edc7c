import { describe, expect, it } from 'vitest'
import type { Destination } from '../../src/connection/record.js'
import { profiles } from '../../src/index.js'
import { firstMatch, parseRules, ruleForAll } from '../../src/register/rules.js'
import { readSettings } from '../../src/register/settings.js'

const valueFor = (rules: string, way: Destination) => firstMatch(parseRules(rules, String), way)?.value

describe('rules', () => {
  it.each([
    ['5432=a', { port: 5432 }, 'a'],
    ['5432=a', { port: 5433 }, undefined],
    ['db=a', { host: 'db' }, 'a'],
    ['DB=a', { host: 'dB' }, 'a'],
    ['db=a', { host: 'db.internal' }, undefined],
    ['*.internal=a', { host: 'db.eu.internal' }, 'a'],
    ['*.internal=a', { host: 'internal' }, undefined],
    ['*.internal=a', { host: 'notinternal' }, undefined],
    ['*.internal=a', { address: '10.0.0.1' }, undefined],
    ['db:5432=a', { host: 'db', port: 5432 }, 'a'],
    ['db:5432=a', { host: 'db', port: 1 }, undefined],
    ['db:5432=a', { host: 'cache', port: 5432 }, undefined],
    ['10.1.2.3=a', { address: '10.1.2.3' }, 'a'],
    ['10.1.2.3=a', { address: '::ffff:10.1.2.3' }, 'a'],
    ['10.1.2.3:80=a', { address: '10.1.2.3', port: 80 }, 'a'],
    ['10.0.0.0/8=a', { address: '10.255.0.1' }, 'a'],
    ['10.0.0.0/8=a', { address: '11.0.0.1' }, undefined],
    ['10.0.0.0/8=a', { address: '2001:db8::1' }, undefined],
    ['10.0.0.0/8:443=a', { address: '10.0.0.1', port: 80 }, undefined],
    ['::1=a', { address: '::1' }, 'a'],
    ['[::1]:80=a', { address: '::1', port: 80 }, 'a'],
    ['[::1]:80=a', { address: '::1', port: 81 }, undefined],
    ['[::1]=a', { address: '::1', port: 81 }, 'a'],
    ['fd00::/8=a', { address: 'fd12::1' }, 'a'],
    ['[fd00::]/8:80=a', { address: 'fd12::1', port: 80 }, 'a'],
    ['1=a, 2=b,1=c', { port: 2 }, 'b'],
    ['1=a, 2=b,1=c', { port: 1 }, 'a'],
    ['1={"a": 1, "b": 2} , 2=b', { port: 2 }, 'b'],
    ['1={"a": 1, "b": 2} , 2=b', { port: 1 }, '{"a": 1, "b": 2}'],
    ['', { port: 1 }, undefined],
    ['1=a,', { port: 1 }, 'a'],
  ] as [string, Destination, string | undefined][])('%s for %j: %s', (rules, way, value) => {
    expect(valueFor(rules, way)).toBe(value)
  })

  it.each([
    { rules: '', port: 80, decides: undefined },
    { rules: '80=a,81=b', port: 81, decides: 'b' },
    { rules: '10.0.0.0/8=a,80=b', port: 80, decides: 'depends' },
    { rules: '80=b,10.0.0.0/8=a', port: 80, decides: 'b' },
    { rules: '10.0.0.0/8:81=a,80=b', port: 80, decides: 'b' },
    { rules: '10.0.0.0/8:80=a', port: 80, decides: 'depends' },
    // What is accepted has no host name.
    { rules: 'db=a,*.internal:80=a,80=b', port: 80, decides: 'b' },
  ])('$rules for every connection at port $port: $decides', ({ rules, port, decides }) => {
    const rule = ruleForAll(parseRules(rules, String), { port })
    expect(rule === 'depends' ? rule : rule?.value).toBe(decides)
  })

  it.each([
    '5432',
    '=a',
    '5432=',
    '0=a',
    '65536=a',
    'db:=a',
    'db:http=a',
    'db:0=a',
    '10.0.0.0/33=a',
    '10.0.0.0/x=a',
    '10.0.0/8=a',
    'fd00::/129=a',
    '*=a',
    'a*b=a',
    'db..internal=a',
    '[::1]80=a',
    '1=a 2=b',
    '1=a,,2=b',
  ])('%s is none', (rules) => {
    expect(() => parseRules(rules, String)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
  })
})

describe('the environment', () => {
  it('what is empty counts as not there', () => {
    const wanted = { profile: profiles.cloud, rules: [], watch: undefined }
    expect(readSettings({})).toEqual(wanted)
    const empty = { DEADPEER: '', DEADPEER_PROFILE: ' ', DEADPEER_RULES: '', DEADPEER_WATCH: '' }
    expect(readSettings(empty)).toEqual(wanted)
  })

  it.each([
    ['1', 'destroy'],
    ['report', 'report'],
    ['0', undefined],
  ])('DEADPEER_WATCH=%s', (text, watch) => {
    expect(readSettings({ DEADPEER_WATCH: text })).toMatchObject({ watch })
  })

  it('switched off, nothing else is looked at', () => {
    expect(readSettings({ DEADPEER: 'off', DEADPEER_PROFILE: 'none such' })).toBeUndefined()
  })
})

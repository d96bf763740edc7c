import { describe, expect, it } from 'vitest'
import { checkFilter } from '../../src/host/filter.js'

const errorOf = (filter: unknown) => {
  try {
    checkFilter(filter)
  } catch (error) {
    return error as Error & { code: string; field: string }
  }
  throw new Error('it was taken')
}

describe('a filter that is wrong', () => {
  it.each<[unknown, string, string, RegExp]>([
    [null, 'ERR_INVALID_ARG_TYPE', 'filter', /; got null/],
    ['established', 'ERR_INVALID_ARG_TYPE', 'filter', /'established', a string/],
    [[], 'ERR_INVALID_ARG_TYPE', 'filter', /an object/],
    [{ state: ['listen'] }, 'ERR_INVALID_ARG_TYPE', 'state', /Did you mean `states`\?/],
    [{ dport: 80 }, 'ERR_INVALID_ARG_TYPE', 'dport', /Did you mean `remotePort`\?/],
    [{ local_port: 80 }, 'ERR_INVALID_ARG_TYPE', 'local_port', /Did you mean `localPort`\?/],
    [{ colour: 1 }, 'ERR_INVALID_ARG_TYPE', 'colour', /Its fields are `family`, `states`/],
    [{ constructor: 1 }, 'ERR_INVALID_ARG_TYPE', 'constructor', /Its fields are/],
    [{ family: 4 }, 'ERR_INVALID_ARG_TYPE', 'family', /'ipv4' or 'ipv6'/],
    [{ family: 'IPv4' }, 'ERR_OUT_OF_RANGE', 'family', /'ipv4' or 'ipv6'/],
    [{ states: 'listen' }, 'ERR_INVALID_ARG_TYPE', 'states', /an array/],
    [{ states: [10] }, 'ERR_INVALID_ARG_TYPE', 'states', /an array of states/],
    [{ states: [] }, 'ERR_OUT_OF_RANGE', 'states', /empty/],
    [{ states: ['FIN_WAIT2'] }, 'ERR_OUT_OF_RANGE', 'states', /Did you mean 'fin-wait-2'\?/],
    [{ states: ['dead'] }, 'ERR_OUT_OF_RANGE', 'states', /There are: established/],
    [{ states: ['toString'] }, 'ERR_OUT_OF_RANGE', 'states', /no state/],
    [{ localPort: '80' }, 'ERR_INVALID_ARG_TYPE', 'localPort', /'80', a string/],
    [{ localPort: 70_000 }, 'ERR_OUT_OF_RANGE', 'localPort', /1 to 65535.*70000/],
    [{ remotePort: 0 }, 'ERR_OUT_OF_RANGE', 'remotePort', /1 to 65535/],
    [{ remotePort: 1.5 }, 'ERR_OUT_OF_RANGE', 'remotePort', /whole number/],
    [{ remotePort: Number.NaN }, 'ERR_OUT_OF_RANGE', 'remotePort', /NaN/],
    [{ local: 127 }, 'ERR_INVALID_ARG_TYPE', 'local', /a prefix such as/],
    [{ local: '10.0.0.0/33' }, 'ERR_OUT_OF_RANGE', 'local', /32 bits/],
    [{ remote: '2001:db8::/129' }, 'ERR_OUT_OF_RANGE', 'remote', /128 bits/],
    [{ remote: 'localhost' }, 'ERR_OUT_OF_RANGE', 'remote', /'localhost'/],
    [{ remote: '10.0.0.0/' }, 'ERR_OUT_OF_RANGE', 'remote', /must be/],
    [{ remote: '10.0.0.0/-1' }, 'ERR_OUT_OF_RANGE', 'remote', /must be/],
    [{ remote: '/8' }, 'ERR_OUT_OF_RANGE', 'remote', /must be/],
    [{ remote: '' }, 'ERR_OUT_OF_RANGE', 'remote', /must be/],
    [{ remote: 'fe80::1%lo' }, 'ERR_OUT_OF_RANGE', 'remote', /zone/],
    [{ local: '10.0.0.1', remote: '::1' }, 'ERR_OUT_OF_RANGE', 'remote', /no socket has both/],
    [{ family: 'ipv4', local: '::1' }, 'ERR_OUT_OF_RANGE', 'family', /one of ipv6/],
    [{ family: 'ipv6', remote: '10.0.0.0/8' }, 'ERR_OUT_OF_RANGE', 'family', /::ffff:10\.0\.0\.0\/104/],
    [{ info: 1 }, 'ERR_INVALID_ARG_TYPE', 'info', /true or false/],
    [{ signal: {} }, 'ERR_INVALID_ARG_TYPE', 'signal', /AbortSignal/],
  ])('%o: %s for %s', (filter, code, field, message) => {
    const error = errorOf(filter)
    expect(error).toMatchObject({ code, field })
    expect(error.message).toMatch(message)
  })
})

describe('a filter that is right', () => {
  it('without anything asks for everything', () => {
    const query = checkFilter({})
    expect(query).toMatchObject({ families: ['ipv4', 'ipv6'], info: false, signal: undefined })
    expect(query.states).toHaveLength(10)
  })

  it('fields that are undefined count as left out', () => {
    expect(checkFilter({ family: undefined, states: undefined, local: undefined, info: undefined })).toEqual(
      checkFilter({}),
    )
  })

  it.each([
    [{ local: '10.0.0.0/8' }, ['ipv4', 'ipv6']],
    [{ remote: '::1' }, ['ipv6']],
    [{ remote: '::ffff:10.0.0.0/104' }, ['ipv6']],
    [{ family: 'ipv4', local: '10.0.0.1' }, ['ipv4']],
    [{ family: 'ipv6' }, ['ipv6']],
  ])('%o asks for %o', (filter, families) => {
    expect(checkFilter(filter).families).toEqual(families)
  })

  it('an address alone counts in full', () => {
    expect(checkFilter({ local: '10.0.0.1' }).local.prefix).toEqual({
      bytes: Uint8Array.of(10, 0, 0, 1),
      length: 32,
    })
    expect(checkFilter({ local: '::1' }).local.prefix?.length).toBe(128)
    expect(checkFilter({ local: '::/0' }).local.prefix?.length).toBe(0)
  })
})

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

describe('a wrong filter', () => {
  it.each<{ filter: unknown; code: string; field: string; message: RegExp }>([
    { filter: null, code: 'ERR_INVALID_ARG_TYPE', field: 'filter', message: /got null/ },
    {
      filter: 'established',
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'filter',
      message: /'established', a string/,
    },
    { filter: [], code: 'ERR_INVALID_ARG_TYPE', field: 'filter', message: /an object/ },
    {
      filter: { state: ['listen'] },
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'state',
      message: /Did you mean `states`\?/,
    },
    {
      filter: { dport: 80 },
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'dport',
      message: /Did you mean `remotePort`\?/,
    },
    {
      filter: { local_port: 80 },
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'local_port',
      message: /Did you mean `localPort`\?/,
    },
    {
      filter: { colour: 1 },
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'colour',
      message: /Its fields are `family`, `states`/,
    },
    {
      filter: { constructor: 1 },
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'constructor',
      message: /Its fields are/,
    },
    { filter: { family: 4 }, code: 'ERR_INVALID_ARG_TYPE', field: 'family', message: /'ipv4' or 'ipv6'/ },
    { filter: { family: 'IPv4' }, code: 'ERR_OUT_OF_RANGE', field: 'family', message: /'ipv4' or 'ipv6'/ },
    { filter: { states: 'listen' }, code: 'ERR_INVALID_ARG_TYPE', field: 'states', message: /an array/ },
    {
      filter: { states: [10] },
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'states',
      message: /an array of states/,
    },
    { filter: { states: [] }, code: 'ERR_OUT_OF_RANGE', field: 'states', message: /empty/ },
    {
      filter: { states: ['FIN_WAIT2'] },
      code: 'ERR_OUT_OF_RANGE',
      field: 'states',
      message: /Did you mean 'fin-wait-2'\?/,
    },
    {
      filter: { states: ['dead'] },
      code: 'ERR_OUT_OF_RANGE',
      field: 'states',
      message: /^Unknown socket state 'dead'\. The states are 'established'/,
    },
    {
      filter: { states: ['toString'] },
      code: 'ERR_OUT_OF_RANGE',
      field: 'states',
      message: /^Unknown socket state 'toString'/,
    },
    {
      filter: { localPort: '80' },
      code: 'ERR_INVALID_ARG_TYPE',
      field: 'localPort',
      message: /'80', a string/,
    },
    {
      filter: { localPort: 70_000 },
      code: 'ERR_OUT_OF_RANGE',
      field: 'localPort',
      message: /1 to 65535.*70000/,
    },
    { filter: { remotePort: 0 }, code: 'ERR_OUT_OF_RANGE', field: 'remotePort', message: /1 to 65535/ },
    { filter: { remotePort: 1.5 }, code: 'ERR_OUT_OF_RANGE', field: 'remotePort', message: /whole number/ },
    { filter: { remotePort: Number.NaN }, code: 'ERR_OUT_OF_RANGE', field: 'remotePort', message: /NaN/ },
    { filter: { local: 127 }, code: 'ERR_INVALID_ARG_TYPE', field: 'local', message: /a prefix such as/ },
    {
      filter: { local: '10.0.0.0/33' },
      code: 'ERR_OUT_OF_RANGE',
      field: 'local',
      message: /must be 0 to 32 for IPv4/,
    },
    {
      filter: { remote: '2001:db8::/129' },
      code: 'ERR_OUT_OF_RANGE',
      field: 'remote',
      message: /must be 0 to 128 for IPv6/,
    },
    { filter: { remote: 'localhost' }, code: 'ERR_OUT_OF_RANGE', field: 'remote', message: /'localhost'/ },
    { filter: { remote: '10.0.0.0/' }, code: 'ERR_OUT_OF_RANGE', field: 'remote', message: /must be/ },
    { filter: { remote: '10.0.0.0/-1' }, code: 'ERR_OUT_OF_RANGE', field: 'remote', message: /must be/ },
    { filter: { remote: '/8' }, code: 'ERR_OUT_OF_RANGE', field: 'remote', message: /must be/ },
    { filter: { remote: '' }, code: 'ERR_OUT_OF_RANGE', field: 'remote', message: /must be/ },
    { filter: { remote: 'fe80::1%lo' }, code: 'ERR_OUT_OF_RANGE', field: 'remote', message: /zone/ },
    {
      filter: { local: '10.0.0.1', remote: '::1' },
      code: 'ERR_OUT_OF_RANGE',
      field: 'remote',
      message: /must be of the same family; got IPv4 and IPv6/,
    },
    {
      filter: { family: 'ipv4', local: '::1' },
      code: 'ERR_OUT_OF_RANGE',
      field: 'family',
      message: /must be 'ipv6', because the prefix is IPv6/,
    },
    {
      filter: { family: 'ipv6', remote: '10.0.0.0/8' },
      code: 'ERR_OUT_OF_RANGE',
      field: 'family',
      message: /::ffff:10\.0\.0\.0\/104/,
    },
    { filter: { info: 1 }, code: 'ERR_INVALID_ARG_TYPE', field: 'info', message: /true or false/ },
    { filter: { signal: {} }, code: 'ERR_INVALID_ARG_TYPE', field: 'signal', message: /AbortSignal/ },
  ])('is refused with $code for $field: $filter', ({ filter, code, field, message }) => {
    const error = errorOf(filter)
    expect(error).toMatchObject({ code, field })
    expect(error.message).toMatch(message)
  })
})

describe('a valid filter', () => {
  it('requests all sockets if it is empty', () => {
    const query = checkFilter({})
    expect(query).toMatchObject({ families: ['ipv4', 'ipv6'], info: false, signal: undefined })
    expect(query.states).toHaveLength(10)
  })

  it('counts undefined fields as left out', () => {
    expect(checkFilter({ family: undefined, states: undefined, local: undefined, info: undefined })).toEqual(
      checkFilter({}),
    )
  })

  it.each([
    { filter: { local: '10.0.0.0/8' }, families: ['ipv4', 'ipv6'] },
    { filter: { remote: '::1' }, families: ['ipv6'] },
    { filter: { remote: '::ffff:10.0.0.0/104' }, families: ['ipv6'] },
    { filter: { family: 'ipv4', local: '10.0.0.1' }, families: ['ipv4'] },
    { filter: { family: 'ipv6' }, families: ['ipv6'] },
  ])('asks for $families with $filter', ({ filter, families }) => {
    expect(checkFilter(filter).families).toEqual(families)
  })

  it('compares an address without prefix length in full', () => {
    expect(checkFilter({ local: '10.0.0.1' }).local.prefix).toEqual({
      bytes: Uint8Array.of(10, 0, 0, 1),
      length: 32,
    })
    expect(checkFilter({ local: '::1' }).local.prefix?.length).toBe(128)
    expect(checkFilter({ local: '::/0' }).local.prefix?.length).toBe(0)
  })
})

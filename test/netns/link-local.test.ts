import { describe, expect, it } from 'vitest'
import { hasNamespaces, runInNamespace } from '../support/network-namespace.js'

describe.runIf(hasNamespaces)('a connection between link-local IPv6 addresses', () => {
  it('has a death whose addresses name the interface, as Node writes them', async () => {
    const { asNodeTells, remote, local } = await runInNamespace('link-local.mjs')
    expect(remote).toEqual({ address: 'fe80::1%lo', port: asNodeTells.remotePort, family: 'IPv6' })
    expect(local).toEqual({ address: asNodeTells.localAddress, port: asNodeTells.localPort, family: 'IPv6' })
    expect(asNodeTells.remoteAddress).toBe('fe80::1%lo')
  })
})

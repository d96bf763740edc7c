import { describe, expect, it } from 'vitest'
import { type Hop, hops, plan } from '../../src/path/index.js'

const rows = Object.values(hops)

describe('the catalogue', () => {
  it.each(rows.map((row) => ({ name: row.name, row })))(
    '$name has a source, and its numbers go together',
    ({ name, row }) => {
      expect(row.source.title).toMatch(/\S/)
      expect(row.source.url).toMatch(/^https:\/\/\S+$/)
      expect(row.source.date).toMatch(/^20\d\d(-(0[1-9]|1[0-2]))?$/)
      expect(hops[name]).toBe(row)
      expect(row.layer === 7).toBe(row.protocol !== undefined)
      expect(row.onExpiry === 'nothing').toBe(row.idleTimeout === Number.POSITIVE_INFINITY)
      for (const { idleTimeout, range, setting } of [row as Hop, ...(row.upstream ? [row.upstream] : [])]) {
        expect(idleTimeout).toBeGreaterThan(0)
        // What can be set has a name, and what has a name can be set.
        expect(setting !== undefined).toBe(range !== undefined)
        if (!range || idleTimeout === Number.POSITIVE_INFINITY) continue
        expect(idleTimeout).toBeGreaterThanOrEqual(range[0])
        expect(idleTimeout).toBeLessThanOrEqual(range[1])
      }
      // What ends a connection and understands requests sees no probes.
      if (row.layer === 7) expect([row.endsTcp, row.probesCount]).toEqual([true, false])
      if (row.certainty === 'uncertain') expect(row.note).toMatch(/\S/)
      expect(['yes', 'no', 'unreliable']).toContain(row.answersProbes)
      expect(['documented', 'reported', 'uncertain']).toContain(row.probeSource.certainty)
      expect(row.probeSource.title).toMatch(/\S/)
      expect(row.probeSource.url).toMatch(/^https:\/\/\S+$/)
      expect(row.probeSource.date).toMatch(/^20\d\d(-(0[1-9]|1[0-2]))?$/)
      // Nothing is called deaf without a source that has measured it.
      if (row.answersProbes !== 'yes') {
        expect(row.probeSource.certainty).not.toBe('uncertain')
        expect(row.probeSource.note).toMatch(/\S/)
      }
    },
  )

  it('has the most common hops', () => {
    expect(rows.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'aws-nlb',
        'aws-alb',
        'azure-lb',
        'gcp-cloud-nat',
        'nginx',
        'haproxy',
        'envoy',
        'cloudflare',
        'kube-proxy',
        'kube-proxy-ipvs',
        'docker-userland-proxy',
        'pgbouncer',
        'linux-conntrack',
        'home-router',
        'mobile-carrier',
      ]),
    )
  })

  it('knows the paths that do not acknowledge all probes', () => {
    const deaf = rows.filter(({ answersProbes }) => answersProbes !== 'yes')
    expect(deaf.map(({ name, answersProbes, idleTimeout }) => [name, answersProbes, idleTimeout])).toEqual([
      ['aws-global-accelerator', 'unreliable', 340_000],
      ['docker-desktop-mac', 'no', 300_000],
      ['wsl-mirrored', 'unreliable', Number.POSITIVE_INFINITY],
    ])
    expect(hops['aws-global-accelerator'].probesCount).toBe(false)
  })

  it('cannot be changed by accident', () => {
    expect(() => Object.assign(hops['aws-nlb'], { idleTimeout: 1 })).toThrow(TypeError)
    expect(() => Object.assign(hops, { mine: {} })).toThrow(TypeError)
  })
})

describe('a hop of a path', () => {
  const resolve = (hop: unknown) => plan({ path: [hop as 'nginx'] }).path[0]

  it("has the catalogue's numbers if it is given by name", () => {
    expect(resolve('aws-nlb')).toBe(hops['aws-nlb'])
  })

  it('accepts another timeout within its range if it is from the catalogue', () => {
    expect(resolve({ name: 'aws-nlb', idleTimeout: 600_000 })).toEqual({
      ...hops['aws-nlb'],
      idleTimeout: 600_000,
    })
    expect(resolve({ name: 'nginx', idleTimeout: 90_000, upstreamTimeout: 30_000 })).toMatchObject({
      idleTimeout: 90_000,
      upstream: { idleTimeout: 30_000, setting: 'keepalive_timeout (upstream)' },
    })
    expect(resolve({ name: 'pgbouncer', idleTimeout: 60_000 })).toMatchObject({ onExpiry: 'close' })
    expect(resolve({ name: 'azure-nat-gateway', idleTimeout: 240_000 })).toMatchObject({ onExpiry: 'silent' })
  })

  it('drops connections at layer 4 and closes them at layer 7 if it is a hop of your own', () => {
    expect(resolve({ name: 'vpn', idleTimeout: 30_000 })).toMatchObject({
      layer: 4,
      onExpiry: 'silent',
      probesCount: true,
      endsTcp: false,
    })
    expect(resolve({ name: 'edge', idleTimeout: 30_000, layer: 7 })).toMatchObject({
      protocol: 'http',
      onExpiry: 'close',
      probesCount: false,
      endsTcp: true,
    })
    expect(resolve({ name: 'edge', idleTimeout: Number.POSITIVE_INFINITY })).toMatchObject({
      onExpiry: 'nothing',
    })
  })

  it('may have any idle timeout if the catalogue is uncertain about it', () => {
    expect(resolve({ name: 'home-router', idleTimeout: 60_000 })).toMatchObject({ idleTimeout: 60_000 })
    expect(resolve({ name: 'home-router', idleTimeout: 60_000 })).not.toHaveProperty('certainty')
  })

  it('acknowledges probes unless it is said otherwise', () => {
    expect(resolve({ name: 'vpn', idleTimeout: 30_000 })).toMatchObject({ answersProbes: 'yes' })
    expect(resolve({ name: 'vpn', idleTimeout: 30_000, answersProbes: 'no' })).toMatchObject({
      answersProbes: 'no',
    })
    expect(resolve({ name: 'docker-desktop-mac', idleTimeout: 300_000, answersProbes: 'yes' })).toMatchObject(
      { answersProbes: 'yes', idleTimeout: 300_000 },
    )
  })

  it.each([
    {
      hop: { name: 'vpn', idleTimeout: 30_000, answersProbes: true },
      message: "answersProbes must be 'yes', 'no' or 'unreliable'; got true",
      error: TypeError,
    },
    { hop: 'aws-nbl', message: "Unknown hop 'aws-nbl'. Did you mean aws-nlb or", error: TypeError },
    {
      hop: 'nlb',
      message: "Unknown hop 'nlb'. Did you mean aws-nlb or aws-nlb-tls or oracle-nlb?",
      error: TypeError,
    },
    { hop: 'Azure-LB', message: 'Did you mean azure-lb', error: TypeError },
    { hop: 'azrue', message: 'Did you mean azure-lb or azure-nat-gateway?', error: TypeError },
    { hop: 'haporxy', message: 'Did you mean haproxy or haproxy-tcp?', error: TypeError },
    {
      hop: 'fritzbox',
      message: "Unknown hop 'fritzbox'. Pass a hop of your own as { name, idleTimeout }.",
      error: TypeError,
    },
    { hop: 'constructor', message: "Unknown hop 'constructor'.", error: TypeError },
    {
      hop: { name: 'aws-nlb', idleTimeout: 30_000 },
      message: 'idleTimeout of aws-nlb must be 60 s to 100 min; got 30 s.',
      error: RangeError,
    },
    {
      hop: { name: 'aws-nat-gateway', idleTimeout: 60_000 },
      message: 'must be 350 s, because it is fixed; got 60 s',
      error: RangeError,
    },
    {
      hop: { name: 'mine', idleTimeout: -5 },
      message: 'idleTimeout of mine must be a time above 0; got -5 ms.',
      error: RangeError,
    },
    { hop: { name: 'mine', idleTimeout: Number.NaN }, message: 'must be a time above 0', error: RangeError },
    {
      hop: { name: 'mine', idleTimeout: '30s' },
      message: "idleTimeout of mine must be a time above 0; got '30s', a string",
      error: TypeError,
    },
    { hop: { name: 'mine', idleTimeout: 60 }, message: 'Did you mean 60_000?', error: RangeError },
    { hop: { name: 'aws-nlb', idleTimeout: 350 }, message: 'Did you mean 350_000?', error: RangeError },
    { hop: { name: 'mine', idletimeout: 60_000 }, message: 'Did you mean `idleTimeout`?', error: TypeError },
    {
      hop: { name: 'mine', idleTimeout: 1, layer: 3 },
      message: 'layer of mine must be 4 or 7; got 3',
      error: RangeError,
    },
    {
      hop: { name: 'nginx', idleTimeout: 75_000, layer: 4 },
      message: 'layer of nginx must be 7; got 4.',
      error: RangeError,
    },
    {
      hop: { name: 'cloudflare', idleTimeout: 400_000, upstreamTimeout: 60_000 },
      message: 'must be 15 min, because it is fixed',
      error: RangeError,
    },
    {
      hop: { idleTimeout: 5 },
      message: 'A hop must be the name of a hop in the catalogue or { name, idleTimeout }',
      error: TypeError,
    },
    { hop: null, message: 'got null', error: TypeError },
  ])('is refused as $hop: $message', ({ hop, message, error }) => {
    expect(() => resolve(hop)).toThrow(error)
    expect(() => resolve(hop)).toThrow(message as string)
  })
})

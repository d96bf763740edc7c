import { describe, expect, it } from 'vitest'
import { audit, type MeasuredPath, plan } from '../../src/path/index.js'
import { measuredHop } from '../../src/path/measured-path.js'

const measured: MeasuredPath = {
  name: 'db:5432',
  side: 'client',
  http: false,
  idleLimit: { atLeast: 59_900, atMost: 60_400 },
  idleTried: 59_900,
  onExpiry: 'silent',
  expiredBy: 'hop',
  answersProbes: 'yes',
  probesCount: true,
  complete: true,
  took: 200_000,
  notes: [],
  observations: [],
}
const { idleLimit: _, onExpiry: __, expiredBy: ___, probesCount: ____, ...unlimited } = measured

describe('a measured path as a hop', () => {
  it('has the shortest idle time that the limit can be', () => {
    const { profile, warnings } = plan({ path: [measured] })
    expect(profile).toMatchObject({ enable: true, initialDelay: 29_000 })
    expect(warnings).toEqual([])
  })

  it('has no idle timeout if none was seen, and the plan says up to which time that holds', () => {
    const { path, warnings } = plan({ path: [{ ...unlimited, idleTried: 600_000 }] })
    expect(path[0]).toMatchObject({ idleTimeout: Number.POSITIVE_INFINITY, onExpiry: 'nothing' })
    expect(warnings.map(({ code }) => code)).toEqual(['hop-uncertain'])
    expect(warnings[0]!.message).toContain('up to 10 min')
  })

  it.each(['no', 'unreliable'] as const)(
    'turns keepalive off if probes are acknowledged: %s',
    (answersProbes) => {
      const { profile, sendEvery } = plan({ path: [{ ...measured, answersProbes }] })
      expect(profile.enable).toBe(false)
      expect(sendEvery).toBeLessThanOrEqual(measured.idleLimit!.atLeast / 2)
    },
  )

  it('is an HTTP hop if requests were sent', () => {
    const closed = {
      ...measured,
      http: true,
      onExpiry: 'close',
      expiredBy: 'peer',
      probesCount: false,
    } as const
    expect(measuredHop(closed)).toMatchObject({
      layer: 7,
      protocol: 'http',
      endsTcp: true,
      probesCount: false,
    })
  })

  it.each([
    [{ idleTried: '9 s' }, 'idleTried'],
    [{ idleLimit: 9_000 }, 'idleLimit'],
    [{ idleLimit: { atLeast: -1, atMost: 2 } }, 'idleLimit.atLeast'],
    [{ onExpiry: 'nothing' }, 'onExpiry'],
    [{ probesCount: 'yes' }, 'probesCount'],
    [{ answersProbes: true }, 'answersProbes'],
  ])('is refused with %j', (wrong, field) => {
    const path = [{ ...measured, ...wrong } as MeasuredPath]
    for (const call of [() => plan({ path }), () => audit(0, path)]) {
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', field }))
    }
  })
})

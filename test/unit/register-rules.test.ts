import { describe, expect, it } from 'vitest'
import type { Destination } from '../../src/connection/record.js'
import { profiles } from '../../src/index.js'
import { plan } from '../../src/path/index.js'
import { firstMatch, parseRules, ruleForAll } from '../../src/register/rules.js'
import { readSettings } from '../../src/register/settings.js'

const valueFor = (rules: string, way: Destination) => firstMatch(parseRules(rules, String), way)?.value

describe('the rules of deadpeer/register', () => {
  it.each<{ rules: string; way: Destination; value: string | undefined }>([
    { rules: '5432=a', way: { port: 5432 }, value: 'a' },
    { rules: '5432=a', way: { port: 5433 }, value: undefined },
    { rules: 'db=a', way: { host: 'db' }, value: 'a' },
    { rules: 'DB=a', way: { host: 'dB' }, value: 'a' },
    { rules: 'db=a', way: { host: 'db.internal' }, value: undefined },
    { rules: '*.internal=a', way: { host: 'db.eu.internal' }, value: 'a' },
    { rules: '*.internal=a', way: { host: 'internal' }, value: undefined },
    { rules: '*.internal=a', way: { host: 'notinternal' }, value: undefined },
    { rules: '*.internal=a', way: { address: '10.0.0.1' }, value: undefined },
    { rules: 'db:5432=a', way: { host: 'db', port: 5432 }, value: 'a' },
    { rules: 'db:5432=a', way: { host: 'db', port: 1 }, value: undefined },
    { rules: 'db:5432=a', way: { host: 'cache', port: 5432 }, value: undefined },
    { rules: '10.1.2.3=a', way: { address: '10.1.2.3' }, value: 'a' },
    { rules: '10.1.2.3=a', way: { address: '::ffff:10.1.2.3' }, value: 'a' },
    { rules: '10.1.2.3:80=a', way: { address: '10.1.2.3', port: 80 }, value: 'a' },
    { rules: '10.0.0.0/8=a', way: { address: '10.255.0.1' }, value: 'a' },
    { rules: '10.0.0.0/8=a', way: { address: '11.0.0.1' }, value: undefined },
    { rules: '10.0.0.0/8=a', way: { address: '2001:db8::1' }, value: undefined },
    { rules: '10.0.0.0/8:443=a', way: { address: '10.0.0.1', port: 80 }, value: undefined },
    { rules: '::1=a', way: { address: '::1' }, value: 'a' },
    { rules: '[::1]:80=a', way: { address: '::1', port: 80 }, value: 'a' },
    { rules: '[::1]:80=a', way: { address: '::1', port: 81 }, value: undefined },
    { rules: '[::1]=a', way: { address: '::1', port: 81 }, value: 'a' },
    { rules: 'fd00::/8=a', way: { address: 'fd12::1' }, value: 'a' },
    { rules: '[fd00::]/8:80=a', way: { address: 'fd12::1', port: 80 }, value: 'a' },
    { rules: '1=a, 2=b,1=c', way: { port: 2 }, value: 'b' },
    { rules: '1=a, 2=b,1=c', way: { port: 1 }, value: 'a' },
    { rules: '1={"a": 1, "b": 2} , 2=b', way: { port: 2 }, value: 'b' },
    { rules: '1={"a": 1, "b": 2} , 2=b', way: { port: 1 }, value: '{"a": 1, "b": 2}' },
    { rules: '', way: { port: 1 }, value: undefined },
    { rules: '1=a,', way: { port: 1 }, value: 'a' },
  ])('$rules decide for $way: $value', ({ rules, way, value }) => {
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
  ])('$rules decide for every connection at port $port: $decides', ({ rules, port, decides }) => {
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
  ])('do not accept %s', (rules) => {
    expect(() => parseRules(rules, String)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }))
  })
})

describe('the environment of deadpeer/register', () => {
  it('counts empty variables as missing', () => {
    const wanted = { profile: profiles.cloud, rules: [], watch: undefined }
    expect(readSettings({})).toEqual(wanted)
    const empty = { DEADPEER: '', DEADPEER_PROFILE: ' ', DEADPEER_RULES: '', DEADPEER_WATCH: '' }
    expect(readSettings(empty)).toEqual(wanted)
  })

  it.each([
    { text: '1', watch: 'destroy' },
    { text: 'report', watch: 'report' },
    { text: '0', watch: undefined },
  ])('reads DEADPEER_WATCH=$text as $watch', ({ text, watch }) => {
    expect(readSettings({ DEADPEER_WATCH: text })).toMatchObject({ watch })
  })

  it('has the profile that plan computes for DEADPEER_PATH', () => {
    expect(readSettings({ DEADPEER_PATH: 'azure-lb, linux-conntrack' })?.profile).toEqual(
      plan({ path: ['azure-lb', 'linux-conntrack'] }).profile,
    )
    expect(readSettings({ DEADPEER_PATH: 'aws-global-accelerator,aws-alb' })?.profile).toEqual({
      enable: false,
      userTimeout: 120_000,
    })
    expect(readSettings({ DEADPEER_PATH: ' ' })?.profile).toEqual(profiles.cloud)
  })

  it('lets DEADPEER_PROFILE override the profile of DEADPEER_PATH field by field', () => {
    const DEADPEER_PATH = 'docker-desktop-mac'
    expect(readSettings({ DEADPEER_PATH, DEADPEER_PROFILE: '{"userTimeout":20000}' })?.profile).toEqual({
      enable: false,
      userTimeout: 20_000,
    })
    expect(readSettings({ DEADPEER_PATH: 'azure-lb', DEADPEER_PROFILE: 'lan' })?.profile).toEqual(
      profiles.lan,
    )
  })

  it('lets DEADPEER_RULES override DEADPEER_PATH for the connections that they name', () => {
    const settings = readSettings({ DEADPEER_PATH: 'docker-desktop-mac', DEADPEER_RULES: '5432=lan' })!
    expect(firstMatch(settings.rules, { port: 5432 })?.value).toEqual(profiles.lan)
    expect(settings.profile.enable).toBe(false)
  })

  it('refuses keepalive for all connections on a path that does not acknowledge all probes', () => {
    expect(() => readSettings({ DEADPEER_PATH: 'docker-desktop-mac', DEADPEER_PROFILE: 'cloud' })).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_ARG_TYPE',
        message:
          'DEADPEER_PROFILE turns keepalive on, but docker-desktop-mac of DEADPEER_PATH does not acknowledge all probes, so keepalive would end connections to live peers. Leave DEADPEER_PROFILE out, or set it to {"enable":false,"userTimeout":120000}.',
      }),
    )
  })

  it.each([
    {
      path: 'aws-nlb,docker-destkop-mac',
      message: "Unknown hop 'docker-destkop-mac'. Did you mean docker-desktop-mac",
    },
    { path: 'aws-nlb,,nginx', message: "Unknown hop ''. deadpeer hops lists the names." },
    { path: 'fritzbox', message: "Unknown hop 'fritzbox'. deadpeer hops lists the names." },
  ])('refuses the path $path: $message', ({ path, message }) => {
    expect(() => readSettings({ DEADPEER_PATH: path })).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_ARG_TYPE',
        message: expect.stringContaining(`DEADPEER_PATH: ${message}`),
      }),
    )
  })

  it('is not read any further if it is switched off', () => {
    expect(readSettings({ DEADPEER: 'off', DEADPEER_PROFILE: 'none such' })).toBeUndefined()
  })
})

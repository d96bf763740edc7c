import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { hops, plan, timeline } from '../../src/path/index.js'
import { deadpeer } from '../support/deadpeer-command.js'

const words = (line: string) => line.split(' ')
const json = (lines: readonly string[]) => JSON.parse(lines.join('\n'))
/** JSON has no Infinity: never is null. */
const asJson = (value: unknown) => JSON.parse(JSON.stringify(value))

describe.concurrent('deadpeer plan', () => {
  it('prints the options to set', async () => {
    const run = await deadpeer(
      words('plan --hop aws-nlb --hop linux-conntrack --within 30s --connections 50000'),
    )
    expect(run).toMatchObject({ code: 0, err: [] })
    expect(run.out).toEqual([
      'aws-nlb          350 s  layer 4  AWS Network Load Balancer, TCP listener',
      'linux-conntrack  5 d    layer 4  Linux connection tracking: NAT or firewall (iptables, nftables)',
      'tune(socket, { initialDelay: 15_000, interval: 5_000, count: 3, userTimeout: 29_600 })',
      'The kernel detects a dead peer: idle after 30 s, with data in flight after 30 s.',
      'An idle connection is probed 240 times an hour.',
      '50,000 of them: 3,333.3 probes a second, 4.6 Mbit/s.',
      'HTTP keep-alive timeouts with which each client closes an idle connection before its server:',
      '  client  60 s  → server  65 s  slack 5 s',
      '  new http.Agent({ keepAlive: true, timeout: 60_000 })',
      '  new undici.Agent({ keepAliveTimeout: 60_000, keepAliveMaxTimeout: 60_000 })',
      '  http.createServer({ keepAliveTimeout: 65_000, headersTimeout: 66_000, requestTimeout: 300_000 })',
    ])
  })

  it('prints with --json what plan() returns', async () => {
    const run = await deadpeer(
      words('plan --hop cloudflare --hop edge=90s/never@7 --hop aws-nlb=600s --every 10s --stall 5m --json'),
    )
    expect(json(run.out)).toEqual(
      asJson(
        plan({
          path: [
            'cloudflare',
            { name: 'edge', idleTimeout: 90_000, upstreamTimeout: Number.POSITIVE_INFINITY, layer: 7 },
            { name: 'aws-nlb', idleTimeout: 600_000 },
          ],
          traffic: { every: 10_000, stall: 300_000 },
        }),
      ),
    )
  })

  it('says how often to send data if a hop does not acknowledge probes', async () => {
    const run = await deadpeer(words('plan --hop docker-desktop-mac --within 30s --connections 5'))
    expect(run.code).toBe(0)
    expect(run.out).toContain('tune(socket, { enable: false, userTimeout: 14_600 })')
    expect(run.out).toContain(
      'Keepalive is off. If the application sends data every 15 s, a dead peer is noticed within 30 s.',
    )
    expect(run.out.join('\n')).toContain('warning: docker-desktop-mac acknowledges no keepalive probe')
    expect(run.out.join('\n')).not.toMatch(/never|undefined|probes a second/)
  })

  it('draws a plan without keepalive', () => {
    expect(timeline(plan({ path: ['docker-desktop-mac'] }))).not.toMatch(/NaN|undefined|Infinity/)
  })

  it('draws the plan with --svg', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'deadpeer-svg-'))
    try {
      const run = await deadpeer(['plan', '--hop', 'azure-lb', '--svg', join(folder, 'a.svg')])
      expect(run.code).toBe(0)
      expect(readFileSync(join(folder, 'a.svg'), 'utf8')).toBe(timeline(plan({ path: ['azure-lb'] })))
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('exits with 1 if the kernel cannot detect a dead peer in time, and suggests a heartbeat', async () => {
    const run = await deadpeer(words('plan --hop aws-nlb --within 1500ms'))
    expect(run.code).toBe(1)
    expect(run.out).toContain(
      'error: The kernel cannot notice a dead peer within 1.5 s: it counts in whole seconds and takes at least 2 s.',
    )
    expect(run.out.at(-1)).toBe(
      '  A heartbeat can: watch({ heartbeat: { every: 1000, timeout: 300, attempts: 1 } }).',
    )
  })
})

describe.concurrent('deadpeer explain', () => {
  it.for<{ args: string; code: number; lines: string[] }>([
    {
      args: 'explain 60s/5s/3 --user-timeout 75s',
      code: 0,
      lines: [
        'The kernel detects a dead peer: idle after 75 s, with data in flight after 75.4 s.',
        'note: userTimeout 75 s also',
      ],
    },
    {
      args: 'explain 60s/5s/3 --user-timeout 65s',
      code: 1,
      lines: [
        'The kernel detects a dead peer: idle after 65 s',
        'warning: userTimeout 65 s ends an idle connection after 1 unanswered probe',
        'note: ',
      ],
    },
    {
      args: 'explain 2h/75s/9',
      code: 1,
      lines: [
        'The kernel detects a dead peer: idle after 7875 s, with data in flight after 925 s.',
        'warning: initialDelay is 120 min',
        'note: No userTimeout',
      ],
    },
    {
      args: 'explain cloud',
      code: 0,
      lines: ['The kernel detects a dead peer: idle after 60 s', 'note: userTimeout 60 s'],
    },
    {
      args: 'explain cloud --hop docker-desktop-mac',
      code: 1,
      lines: [
        'The kernel detects a dead peer: idle after 60 s',
        'error: docker-desktop-mac acknowledges no keepalive probe, although data passes.',
        '  Set { enable: false, userTimeout: 120_000 }. Send data at least every 120 s',
        'note: userTimeout 60 s',
      ],
    },
    {
      args: 'explain 2h/75s/9 --hop azure-lb',
      code: 1,
      lines: [
        'The kernel detects a dead peer: idle after 7875 s',
        'error: azure-lb drops a connection silently after 4 min',
        '  Set initialDelay to 120 s or less',
        'warning: Keepalive is on, but takes 7875 s',
        '  Set initialDelay',
        'warning: No userTimeout',
        '  Set userTimeout',
      ],
    },
  ])('explains `$args`', async ({ args, code, lines }) => {
    const run = await deadpeer(words(args))
    expect(run).toMatchObject({ code, err: [] })
    expect(run.out).toEqual(lines.map((line) => expect.stringContaining(line)))
  })

  it('prints JSON with --json', async () => {
    const run = await deadpeer(words('explain 60s/5s/3 --user-timeout 75s --json'))
    expect(json(run.out)).toMatchObject({
      profile: { initialDelay: 60_000, interval: 5_000, count: 3, userTimeout: 75_000 },
      detection: { idle: 75_000, inFlight: 75_400 },
      warnings: [{ severity: 'note', code: 'ends-slow-reader' }],
    })
  })
})

describe.concurrent('deadpeer hops', () => {
  it('lists all hops, one line each', async () => {
    const run = await deadpeer(['hops'])
    expect(run).toMatchObject({ code: 0, err: [] })
    for (const name of Object.keys(hops))
      expect(run.out.filter((line) => words(line)[0] === name)).toHaveLength(1)
    expect(run.out).toContainEqual(
      expect.stringMatching(
        /^nginx +75 s, to the server 60 s +layer 7 +close +probes do not count +acknowledged$/,
      ),
    )
    expect(run.out).toContainEqual(expect.stringMatching(/^docker-desktop-mac .* not acknowledged$/))
    expect(run.out).toContainEqual(expect.stringMatching(/^aws-global-accelerator .* not all acknowledged$/))
  })

  it('shows the range and the source of the timeout of a hop', async () => {
    const run = await deadpeer(['hops', 'Azure'])
    expect(run.code).toBe(0)
    const { title, date, url } = hops['azure-lb'].source
    expect(run.out).toEqual(
      expect.arrayContaining([
        'azure-lb',
        '  keeps   an idle connection for 4 min, then drops it silently',
        '  can be  4 min … 100 min: idleTimeoutInMinutes',
        `  source  ${title}, ${date} (documented)`,
        `          ${url}`,
        'azure-nat-gateway',
      ]),
    )
  })

  it('shows whether probes are acknowledged, and the source of that', async () => {
    const { out } = await deadpeer(['hops', 'accelerator'])
    const { title, date, url, note } = hops['aws-global-accelerator'].probeSource
    expect(out).toEqual(
      expect.arrayContaining([
        '  probes  not all acknowledged; do not count as activity',
        `  source  ${title}, ${date} (reported)`,
        `          ${url}`,
        `  note    ${note}`,
      ]),
    )
  })

  it('does not call a timeout fixed that the catalogue does not know', async () => {
    expect((await deadpeer(['hops', 'home-router'])).out).toContain('  can be  not known')
    expect((await deadpeer(['hops', 'aws-nat-gateway'])).out).toContain('  can be  fixed')
  })

  it('says of a hop without an idle timeout that it keeps connections forever', async () => {
    expect((await deadpeer(['hops', 'slirp'])).out).toContain('  keeps   an idle connection forever')
  })

  it('prints JSON with --json', async () => {
    expect(json((await deadpeer(words('hops nginx --json'))).out)).toEqual(
      asJson([hops.nginx, hops['nginx-stream']]),
    )
  })

  it('exits with 1 if no hop matches', async () => {
    expect(await deadpeer(['hops', 'azrue'])).toMatchObject({
      code: 1,
      out: [],
      err: ["deadpeer: no hop matches 'azrue'. Did you mean azure-lb or azure-nat-gateway?"],
    })
  })
})

describe.concurrent('bad input to plan, explain and hops', () => {
  it.for<{ args: string; message: string }>([
    { args: 'plan', message: '--hop <hop> is missing; --help shows what this command takes' },
    { args: 'plan --hop aws-nbl', message: "Unknown hop 'aws-nbl'. Did you mean aws-nlb or" },
    { args: 'plan --hop aws-nlb=30s', message: 'idleTimeout of aws-nlb must be 60 s to 100 min; got 30 s.' },
    {
      args: 'plan --hop nat=-5s',
      message:
        "--hop must be name=time, where time is never or a number with a unit: 1500ms, 30s, 5m, 1h or 5d; got 'nat=-5s'",
    },
    { args: 'plan --hop nat=0s', message: 'idleTimeout of nat must be a time above 0; got 0 ms.' },
    { args: 'plan --hop nat=', message: '--hop must be a name, or name=time' },
    {
      args: 'plan --hop nowhere',
      message:
        "deadpeer: --hop: Unknown hop 'nowhere'. deadpeer hops lists the names; write a hop of your own as name=time, such as nat=350s",
    },
    {
      args: 'plan --hop nat=5s@3',
      message:
        "--hop must be a name, or name=time such as nat=350s or edge=30s@7; the layer is 4 or 7; got 'nat=5s@3'",
    },
    { args: 'plan --hop aws-nlb --within -5s', message: 'must be a number with a unit' },
    { args: 'plan --hop aws-nlb --within 30', message: 'must be a number with a unit' },
    {
      args: 'plan --hop aws-nlb --within 0s',
      message: "--within must be a time above 0; got '0s'",
    },
    {
      args: 'plan --hop aws-nlb --connections many',
      message: "--connections must be a whole number, 1 or greater; got 'many'",
    },
    {
      args: 'plan --hop aws-nlb --connections 0',
      message: "--connections must be a whole number, 1 or greater; got '0'",
    },
    { args: 'plan --hop aws-nlb --svg /nowhere/a.svg', message: 'cannot write the drawing: ENOENT' },
    { args: 'explain', message: '<profile> is missing; --help shows what this command takes' },
    { args: 'explain 60s/5s', message: 'patient, or initialDelay/interval/count such as 60s/5s/3' },
    {
      args: 'explain 60s/5s/x',
      message:
        '<profile> must be one of lan, datacenter, cloud, mobile, patient, or initialDelay/interval/count',
    },
    {
      args: 'explain 60s/5x/3',
      message:
        '<profile> must be one of lan, datacenter, cloud, mobile, patient, or initialDelay/interval/count',
    },
    {
      args: 'explain lan --user-timeout 30',
      message:
        "--user-timeout must be a number with a unit: 1500ms, 30s, 5m, 1h or 5d; got '30'. Did you mean 30s or 30ms?",
    },
    {
      args: 'explain lan --user-timeout 30ms',
      message: 'userTimeout (TCP_USER_TIMEOUT) must not be a time below 100 ms',
    },
    {
      args: 'explain 1500ms/5s/3',
      message: 'initialDelay (TCP_KEEPIDLE) must be whole seconds from 1000 to 32767000 ms; got 1500 ms',
    },
    {
      args: 'explain 100h/5s/3',
      message: 'initialDelay (TCP_KEEPIDLE) must be whole seconds from 1000 to 32767000 ms; got 360000000 ms',
    },
    { args: 'explain 60s/5s/0', message: 'count (TCP_KEEPCNT) must be a whole number from 1 to 127; got 0' },
  ])('refuses `$args` in one line, with exit code 2', async ({ args, message }) => {
    const run = await deadpeer(words(args))
    expect(run).toMatchObject({ code: 2, out: [], err: [expect.stringContaining(message)] })
    expect(run.err[0]).toMatch(/^deadpeer: /)
  })
})

import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { handleOf } from '../../../connection/target.js'
import { type Profile, sampleTcpInfo, watch } from '../../../index.js'
import { nativeCore } from '../../../kernel/binding.js'
import { sampleAll } from '../../../kernel/liveness.js'
import { systemDefaults } from '../../../profile/detection-time.js'
import { checkProfile } from '../../../profile/profile.js'
import { checkHeartbeat } from '../../../watch/heartbeat-options.js'
import { firstState, observe } from '../../../watch/heartbeat-state.js'
import { keepaliveWords, shortTime } from '../../lib/format-socket.js'
import { write } from '../../lib/terminal.js'
import { Misuse } from '../../lib/usage.js'
import { type Fleet, type Forecast, quantile, simulate as run } from './simulation.js'

export interface SimulateOptions {
  readonly connections: number
  readonly busy: number
  readonly every: number
  readonly timeout: number
  readonly attempts: number
  /** `undefined`: the kernel's own keepalive is off. */
  readonly profile: Profile | undefined
  readonly loss: number
  readonly rtt: number
  readonly hours: number
  readonly deaths: number
  readonly seed: number
  readonly probeCost?: number
  readonly lookCost?: number
  readonly json?: boolean
}

/** CPU time of one operation, µs. */
interface Costs {
  readonly probe: number
  readonly look: number
}

const HOUR = 3_600_000

/** Prints what a heartbeat would cost and find. Returns the exit code. */
export async function simulate(options: SimulateOptions): Promise<number> {
  const fleet = fleetOf(options)
  const costs = await costsOf(options)
  const forecast = run(fleet)
  if (options.json) write(JSON.stringify(summaryOf(fleet, forecast, costs)))
  else for (const line of words(options, fleet, forecast, costs)) write(line)
  return 0
}

function fleetOf({ profile = {}, hours, every, timeout, attempts, ...options }: SimulateOptions): Fleet {
  return {
    ...options,
    heartbeat: checkHeartbeat({ every, timeout, attempts }),
    own: { ...systemDefaults, ...checkProfile(profile) },
    duration: hours * HOUR,
    deaths: Math.round(options.deaths * hours),
  }
}

/** @returns µs; given in ms. */
async function costsOf({ probeCost, lookCost }: SimulateOptions): Promise<Costs> {
  const [probe, look] = [probeCost, lookCost].map((ms) => ms && ms * 1_000)
  if (probe !== undefined && look !== undefined) return { probe, look }
  const measured = await measure()
  return { probe: probe ?? measured.probe, look: look ?? measured.look }
}

const MEASURED = 400
const WARM_UP = 3_000
const MEASURING = 4_000

/** Measures with own connections over loopback. */
async function measure(): Promise<Costs> {
  const core = nativeCore()
  if (!core)
    throw new Misuse(
      'without the native core nothing can be measured: set --probe-cost and --look-cost, such as 20us',
    )
  const server = net.createServer()
  server.listen({ port: 0, host: '127.0.0.1', backlog: MEASURED })
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const sockets = Array.from({ length: MEASURED }, () => net.connect(port, '127.0.0.1'))
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  const watcher = watch({ heartbeat: { every: 1_000 } }).add(sockets)
  await delay(WARM_UP)
  const sent = () => sampleTcpInfo(sockets, ['segsOut']).reduce((sum, segments) => sum + segments, 0)
  const before = { sent: sent(), cpu: process.cpuUsage() }
  await delay(MEASURING)
  const { user, system } = process.cpuUsage(before.cpu)
  const probe = (user + system) / (sent() - before.sent)
  watcher.close()

  const names = sockets.map((socket) => ({
    fd: handleOf(socket)!.fd!,
    cookie: core.readCookie(handleOf(socket)!.fd!) as bigint,
    isCertain: true,
  }))
  const heartbeat = { every: 1_000, timeout: 300, attempts: 3 }
  const start = performance.now()
  const turns = 50
  for (let turn = 0; turn < turns; turn++) {
    for (const look of sampleAll(core, names)) {
      if (typeof look !== 'number') observe(firstState(look, heartbeat, 0), look, undefined, heartbeat, 0)
    }
  }
  const look = ((performance.now() - start) * 1_000) / (turns * MEASURED)
  for (const socket of sockets) socket.destroy()
  server.close()
  return { probe, look }
}

/** The lines of --json have these keys. Times in ms, costs in µs. */
function summaryOf({ duration }: Fleet, forecast: Forecast, costs: Costs) {
  const { probes, kernelProbes, questions, looks, falseDeaths, detection } = forecast
  const inSecond = (count: number) => (duration > 0 ? (count * 1_000) / duration : 0)
  const [probesPerSecond, looksPerSecond] = [inSecond(probes), inSecond(looks)]
  const at = (part: number) => Math.round(quantile(detection, part))
  return {
    probesPerSecond,
    kernelProbesPerSecond: inSecond(kernelProbes),
    looksPerSecond,
    cpu: (inSecond(questions) * costs.probe + looksPerSecond * costs.look) / 1e6,
    costs,
    deaths: detection.length,
    detection: detection.length > 0 ? { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) } : null,
    falseDeaths,
  }
}

function words(options: SimulateOptions, fleet: Fleet, forecast: Forecast, costs: Costs): string[] {
  const { connections, busy, heartbeat, loss, rtt } = fleet
  const { every, timeout, attempts } = heartbeat
  const { profile } = options
  const summary = summaryOf(fleet, forecast, costs)
  const { detection, deaths } = summary
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`
  const { p50 = 0, p90 = 0, p99 = 0, max = 0 } = detection ?? {}
  const found = detection
    ? `${deaths.toLocaleString('en')}, noticed after ${seconds(p50)} (median), ${seconds(p90)} (p90), ${seconds(p99)} (p99), ${seconds(max)} at most`
    : 'none'
  const rows = [
    [
      'probes',
      `${rate(summary.probesPerSecond)} a second for the heartbeat, and ${rate(summary.kernelProbesPerSecond)} by the kernel's own keepalive`,
    ],
    [
      'samples',
      `${rate(summary.looksPerSecond)} a second of busy connections, and of those that the kernel probes for the heartbeat`,
    ],
    [
      'CPU',
      `${(summary.cpu * 100).toFixed(2)} % of a core, at ${costs.probe.toFixed(1)} µs a probe and ${costs.look.toFixed(1)} µs a sample`,
    ],
    ['deaths', found],
    ['false deaths', `${summary.falseDeaths.toLocaleString('en')} in ${options.hours} h`],
  ]
  return [
    `${connections.toLocaleString('en')} connections for ${options.hours} h, ${percent(busy)} of them busy; keepalive: ${profile ? keepaliveWords(checkProfile(profile)) : 'off'}`,
    `heartbeat every ${shortTime(every)}, ${attempts} × ${shortTime(timeout)}; ${percent(loss)} of probes lost, round trip ${shortTime(rtt)}`,
    '',
    ...rows.map(([name, text]) => `${name!.padEnd(14)}${text}`),
  ]
}

function rate(perSecond: number): string {
  return perSecond.toLocaleString('en', { maximumFractionDigits: 1 })
}

function percent(share: number): string {
  return `${(share * 100).toLocaleString('en', { maximumFractionDigits: 3 })} %`
}

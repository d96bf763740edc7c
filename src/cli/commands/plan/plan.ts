import { writeFileSync } from 'node:fs'
import { afterInWords, inWords } from '../../../path/in-words.js'
import {
  type HopName,
  type MeasuredPath,
  type OwnHop,
  type Plan,
  plan,
  timeline,
} from '../../../path/index.js'
import { writeFindings } from '../../lib/findings.js'
import { checkHops } from '../../lib/known-hops.js'
import { columns } from '../../lib/table.js'
import { paint, write } from '../../lib/terminal.js'
import { Misuse } from '../../lib/usage.js'

export interface PlanCommandOptions {
  readonly hop: readonly (HopName | OwnHop | MeasuredPath)[]
  readonly within?: number
  readonly connections?: number
  readonly every?: number
  readonly stall?: number
  readonly svg?: string
  readonly json?: boolean
}

/** Prints what to set on a path. Returns the exit code: 1 if the path does not allow something. */
export function planCommand({
  hop,
  within,
  connections,
  every,
  stall,
  svg,
  json,
}: PlanCommandOptions): number {
  checkHops(hop)
  const planned = plan({
    path: hop,
    traffic: { ...(every !== undefined && { every }), ...(stall !== undefined && { stall }) },
    ...(within !== undefined && { detectWithin: within }),
    ...(connections !== undefined && { connections }),
  })
  if (svg !== undefined) draw(planned, svg)
  if (json) write(JSON.stringify(planned, undefined, 2))
  else show(planned)
  return planned.warnings.some(({ severity }) => severity === 'error') ? 1 : 0
}

/** @throws {@link Misuse} if the file cannot be written. */
function draw(planned: Plan, file: string): void {
  try {
    writeFileSync(file, timeline(planned))
  } catch (error) {
    throw new Misuse(`cannot write the drawing: ${(error as Error).message}`)
  }
}

function show({ path, profile, detection, sendEvery, probesPerHour, load, http, warnings }: Plan): void {
  for (const line of columns(
    path.map(({ name, idleTimeout, layer, title }) => [
      name,
      inWords(idleTimeout),
      `layer ${layer}`,
      paint(title, 'faint'),
    ]),
  )) {
    write(line)
  }
  write()
  write(paint(`tune(socket, ${literal(profileToTune(profile))})`, 'strong'))
  write()
  if (sendEvery === undefined) {
    write(
      `The kernel detects a dead peer: idle ${afterInWords(detection.idle)}, with data in flight ${afterInWords(detection.inFlight)}.`,
    )
    write(`An idle connection is probed ${probesPerHour.toLocaleString('en')} times an hour.`)
  } else {
    write(
      `Keepalive is off. If the application sends data every ${inWords(sendEvery)}, a dead peer is noticed within ${inWords(sendEvery + detection.inFlight)}.`,
    )
  }
  if (load && sendEvery === undefined) {
    const { connections, probesPerSecond, bitsPerSecond } = load
    const [each, all] = [connections, probesPerSecond].map((n) =>
      n.toLocaleString('en', { maximumFractionDigits: 1 }),
    )
    write(`${each} of them: ${all} probes a second, ${bits(bitsPerSecond)}.`)
  }
  write()
  write('HTTP keep-alive timeouts with which each client closes an idle connection before its server:')
  for (const line of columns(
    http.legs.map(({ from, fromTimeout, to, toTimeout, slack }) => [
      `  ${from}`,
      inWords(fromTimeout),
      `→ ${to}`,
      inWords(toTimeout),
      `slack ${inWords(slack)}`,
    ]),
  )) {
    write(line)
  }
  write(`  new http.Agent(${literal({ keepAlive: true, timeout: http.freeSocketTimeout })})`)
  write(`  new undici.Agent(${literal(http.undici)})`)
  write(`  http.createServer(${literal(http.server)})`)
  writeFindings(warnings)
}

/** With times, `enable` is true by default. */
function profileToTune(profile: Plan['profile']): object {
  if (!profile.enable) return profile
  const { initialDelay, interval, count, userTimeout } = profile
  return { initialDelay, interval, count, userTimeout }
}

function literal(values: object): string {
  const fields = Object.entries(values).map(
    ([name, value]) => `${name}: ${String(value).replace(/\B(?=(\d{3})+$)/g, '_')}`,
  )
  return `{ ${fields.join(', ')} }`
}

function bits(perSecond: number): string {
  return perSecond < 1e6 ? `${(perSecond / 1e3).toFixed(1)} kbit/s` : `${(perSecond / 1e6).toFixed(1)} Mbit/s`
}

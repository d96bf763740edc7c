import type { NativeCore } from '../kernel/binding.js'
import { descriptorError } from '../kernel/failure.js'
import { type Keepalive, type Sample, sampleWithOptions } from '../kernel/liveness.js'
import { compileOptions, type OptionValues, readOptions, refusalError } from '../kernel/socket-options.js'
import type { TcpInfo } from '../kernel/tcp-info.js'
import { type KeepaliveClock, wholeSeconds } from './clock.js'
import {
  adopt,
  baseOf,
  findOverlay,
  forgetDeferred,
  keepaliveNames,
  type Overlay,
  overlayOf,
  putBack,
} from './overlay.js'
import { plan } from './plan.js'

/** The options that the owner wants: those of the socket, or those of its overlay if it has one. */
export function readOwnOptions(
  core: NativeCore,
  fd: number,
  overlay: Overlay | undefined = findOverlay(core, fd),
): OptionValues {
  const values = readOptions(core, fd)
  if (!overlay) return values
  adopt(overlay, values as Keepalive)
  return { ...values, ...(definedOnly(overlay.own) as OptionValues) }
}

/** `own`: what the owner wants. `inForce`: what the socket has. `pending`: fields of `own` that are not in force; `undefined` if none. */
export function readProfiles(
  core: NativeCore,
  fd: number,
): { own: OptionValues; inForce: OptionValues; pending: OptionValues | undefined } {
  const inForce = readOptions(core, fd)
  const overlay = findOverlay(core, fd)
  if (!overlay) return { own: inForce, inForce, pending: undefined }
  adopt(overlay, inForce as Keepalive)
  const own: OptionValues = { ...inForce, ...(definedOnly(overlay.own) as OptionValues) }
  const differing = keepaliveNames.filter((name) => own[name] !== inForce[name])
  const pending = Object.fromEntries(differing.map((name) => [name, own[name]]))
  return { own, inForce, pending: differing.length > 0 ? pending : undefined }
}

/** The counters without our probes. */
export function withoutOurProbes(overlay: Overlay | undefined, info: TcpInfo): TcpInfo {
  return overlay?.unanswered ? { ...info, probes: Math.max(0, info.probes - overlay.unanswered) } : info
}

/**
 * Writes options that the owner wants: all or none. While the connection is being probed, the probe's options stay in force, and the written
 * ones come into force when the probe is over. A heartbeat's options are restored first.
 *
 * @throws if the kernel refuses an option.
 */
export function writeOwnOptions(
  core: NativeCore,
  fd: number,
  values: OptionValues,
  overlay: Overlay | undefined = findOverlay(core, fd),
): void {
  if (overlay?.beating !== undefined) {
    putBack(core, overlay, fd)
    overlay = overlayOf(overlay.cookie)
  }
  const written = keepaliveOf(values)
  if (!overlay?.clock) {
    apply(core, fd, values)
    if (!overlay) return
    overlay.own = { ...overlay.own, ...written }
    overlay.inForce = { ...overlay.inForce, ...written }
    forgetDeferred(overlay, written)
    return
  }
  const seen = sampleWithOptions(core, [{ fd, cookie: overlay.cookie }])[0]!
  if (typeof seen === 'number') throw descriptorError(seen, fd)
  adopt(overlay, seen.options)
  const changed: Overlay = { ...overlay, own: { ...overlay.own, ...written } }
  forgetDeferred(changed, written)
  changed.clock = clockWritten(overlay, baseOf(changed), values, seen.sample) ?? overlay.clock
  const wanted = plan(changed.own, changed, seen.sample)
  const writes: OptionValues = { ...values }
  for (const name of keepaliveNames) {
    delete writes[name]
    const fires = name === 'initialDelay' && values[name] !== undefined && !overlay.isFiring
    if (wanted[name] !== overlay.inForce[name] || fires) Object.assign(writes, { [name]: wanted[name] })
  }
  apply(core, fd, definedOnly(writes))
  const { own, deferred, clock } = changed
  const movesTimer = values.initialDelay !== undefined || (values.enable && !overlay.own.enable)
  if (overlay.isFiring && movesTimer) overlay.mustSetTimer = true
  Object.assign(overlay, { own, deferred, clock, inForce: wanted })
}

/** The connection's own clock after its owner has written options. */
function clockWritten(
  overlay: Overlay,
  base: Keepalive,
  values: OptionValues,
  sample: Sample,
): KeepaliveClock | undefined {
  const silence = sample.sampledAt - sample.heardAt
  const sent = Math.max(0, sample.probes - overlay.unanswered)
  const { initialDelay } = base
  // If the connection has been idle for longer, the kernel probes at once, as it would without us.
  if (values.initialDelay !== undefined) return { due: Math.max(initialDelay, silence), initialDelay, sent }
  if (!values.enable || overlay.own.enable) return undefined
  const due = silence + initialDelay
  return { due, initialDelay: wholeSeconds(due), sent }
}

function keepaliveOf(values: OptionValues): Partial<Keepalive> {
  const part: Record<string, unknown> = {}
  for (const name of keepaliveNames) if (values[name] !== undefined) part[name] = values[name]
  return part as Partial<Keepalive>
}

function definedOnly<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T
}

function apply(core: NativeCore, fd: number, values: OptionValues): void {
  const refusal = core.apply(fd, compileOptions(core, values))
  if (refusal) throw refusalError(refusal, fd)
}

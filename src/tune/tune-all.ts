import net from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { BorrowedSocket } from '../connection/borrowed.js'
import { noteExplicitProfile } from '../connection/explicit-profile.js'
import { settledSocket } from '../connection/holder.js'
import { checkOrder } from '../connection/not-a-target.js'
import { type Handle, handleOf, isDescriptor, type Target, targetsOf } from '../connection/target.js'
import { errorFrom } from '../connection/unreadable.js'
import type { OptionName } from '../kernel/socket-options.js'
import { tryOr } from '../options/try-or.js'
import { findOverlay } from '../overlay/overlay.js'
import { turnToFire } from '../overlay/probe-rate.js'
import { type Compiled, compile, leavingOut, rehearse } from '../profile/compile.js'
import type { PresetName } from '../profile/presets.js'
import type { Profile } from '../profile/profile.js'
import { DONE, lastHeard, succeeded, type TuneResult, tuneBorrowed, tuneTarget } from './connection.js'
import { inSteps } from './in-steps.js'
import { tuneByNode } from './node-fallback.js'
import { isBestEffort, type TuneOptions } from './tune.js'

/**
 * Sets the same options on many connections, in order, with one result for each. A target that fails does not affect the others. Runs in slices
 * that leave the event loop free. Writes that make the kernel send a probe are rate-limited. The path would drop a burst of thousands, and live peers
 * would look dead.
 *
 * For a borrowed socket it writes the safe values first, and the others when the peer answers within 2 s. Values that were left out are in its
 * result as `pending`. They are not written later.
 *
 * @throws (rejects) for a bad profile, as `tune` does; never for a bad target.
 * @example
 * ```ts
 * const results = await tuneAll(pool, 'datacenter')
 * const failed = results.filter((result) => result.error)
 * ```
 */
export async function tuneAll(
  targets: Iterable<Target>,
  profile: Profile | PresetName,
  options: TuneOptions = {},
): Promise<TuneResult[]> {
  checkOrder(targets, profile, 'tuneAll(targets, profile)')
  const list = targetsOf(targets, 'tune')
  const bestEffort = isBestEffort(options)
  const compiled = compile(profile, bestEffort)
  if (!compiled) return list.map((target) => resultOf(() => tuneByNode(target, profile, bestEffort)))
  rehearse(compiled)
  const results = new Array<TuneResult>(list.length)
  const waiting: Promise<void>[] = []
  for (let start = 0; start < list.length; start += SLICE) {
    if (start > 0) await nextTurn()
    const held = tuneSlice(list, start, compiled, results)
    for (const i of held) {
      await turnToFire()
      const target = list[i]!
      if (isBorrowed(target)) waiting.push(tuneInSteps(target, compiled, results, i))
      else results[i] = resultOf(() => tuneTarget(target, compiled, true))
    }
  }
  await Promise.all(waiting)
  for (const [i, target] of list.entries()) {
    // A target that was tuned may throw when it is read again.
    if (!results[i]!.error) tryOr(() => noteExplicitProfile(target, compiled.profile), undefined)
  }
  return results
}

/** Connections in one slice. A write takes about 1.5 µs for each, so a slice takes less than 1 ms. */
const SLICE = 512

/** Tunes a slice in one native call. Returns the indices of targets that are not tuned yet because the write may make the kernel send a probe. */
function tuneSlice(list: Target[], start: number, compiled: Compiled, results: TuneResult[]): number[] {
  const { core, native } = compiled
  const count = Math.min(SLICE, list.length - start)
  const handles = new Array<Handle | undefined>(count)
  const fds = new Int32Array(count)
  const heardAt = new Float64Array(count)
  for (let i = 0; i < count; i++) {
    const target = list[start + i]!
    // A target without a descriptor here is refused below, and then tuned on its own.
    fds[i] = -1
    heardAt[i] = Number.NEGATIVE_INFINITY
    try {
      const handle = connectedHandle(target)
      const fd = handle ? (handle.fd ?? -1) : typeof target === 'number' && isDescriptor(target) ? target : -1
      fds[i] = findOverlay(core, fd) ? -1 : fd
      heardAt[i] = lastHeard(handle)
      handles[i] = handle
    } catch {
      // A getter of the target, or a proxy, threw.
    }
  }
  const held: number[] = []
  let done = 0
  for (const notTuned of core.tuneMany(fds, native, heardAt) ?? []) {
    noteSuccesses(notTuned.index)
    done = notTuned.index + 1
    const at = start + notTuned.index
    if (notTuned.held || isBorrowed(list[at])) held.push(at)
    else results[at] = resultOf(() => tuneTarget(list[at]!, compiled))
  }
  noteSuccesses(count)
  return held

  function noteSuccesses(until: number): void {
    for (let i = done; i < until; i++) {
      results[start + i] = succeeded(compiled, handles[i], heardAt[i]!)
    }
  }
}

/** The handle of a target that is connected; `undefined` for any other. */
function connectedHandle(target: Target): Handle | undefined {
  if (typeof target === 'number' || target instanceof BorrowedSocket) return undefined
  const socket = target instanceof net.Socket ? target : settledSocket(target)
  return socket === undefined || socket.connecting ? undefined : handleOf(socket)
}

async function tuneInSteps(
  target: BorrowedSocket,
  compiled: Compiled,
  results: TuneResult[],
  i: number,
): Promise<void> {
  const attempt = (leaveOut: readonly OptionName[]) =>
    tuneBorrowed(target, leaveOut.length > 0 ? leavingOut(compiled, leaveOut) : compiled, true)
  results[i] = await inSteps(compiled.profile, attempt).catch((error) => ({ error: errorFrom(error) }))
}

function resultOf(run: () => TuneResult | undefined): TuneResult {
  try {
    return run() ?? DONE
  } catch (error) {
    return { error: errorFrom(error) }
  }
}

/** Works for any value: `instanceof` throws for a revoked proxy. */
function isBorrowed(target: unknown): target is BorrowedSocket {
  return tryOr(() => target instanceof BorrowedSocket, false)
}

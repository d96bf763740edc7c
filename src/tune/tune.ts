import type http from 'node:http'
import net from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { tuneWebSockets } from '../connection/accepted-websockets.js'
import { isAgent } from '../connection/agent-hooks.js'
import { tuneAgent } from '../connection/agent-tuning.js'
import { BorrowedSocket } from '../connection/borrowed.js'
import { whenConnecting } from '../connection/connecting.js'
import { noteExplicitProfile } from '../connection/explicit-profile.js'
import { onFurtherServer } from '../connection/further-servers.js'
import { settledSocket } from '../connection/holder.js'
import { noteClock } from '../connection/known-clock.js'
import { lastHeard, noteHeard } from '../connection/last-heard.js'
import { isServer, isWithoutServer, type ServerTarget, serversOf } from '../connection/listening.js'
import { checkOrder, notATarget } from '../connection/not-a-target.js'
import {
  checkDescriptor,
  descriptorOf,
  type Handle,
  handleOf,
  isDescriptor,
  mayConnect,
  noDescriptor,
  type OwnTarget,
  type Target,
  targetsOf,
} from '../connection/target.js'
import { errorFrom } from '../connection/unreadable.js'
import { DeadpeerError } from '../errors.js'
import type { NotTuned } from '../kernel/binding.js'
import { canSetNow, type OptionName, refusalError } from '../kernel/options.js'
import { checkOptions, type Options, trueOrFalse } from '../options/check.js'
import { tryOr } from '../options/try-or.js'
import { applyOrDefer, applyOrRefuse } from '../overlay/deferred.js'
import { findOverlay } from '../overlay/overlay.js'
import { turnToFire } from '../overlay/probe-rate.js'
import { type Compiled, compile, leavingOut, merge, rehearse, without } from '../profile/compile.js'
import type { PresetName } from '../profile/presets.js'
import type { Profile } from '../profile/profile.js'
import { tuneHolder } from './holder.js'
import { inSteps } from './in-steps.js'
import { tuneByNode } from './node-fallback.js'
import { tuneServer } from './server.js'

/** How {@link tune} and {@link tuneAll} go about it. */
export interface TuneOptions {
  /**
   * Leave out options that this kernel, socket or platform does not have, and those that a sandbox forbids this process to set: what
   * {@link capabilities} says cannot be set, and what an MPTCP socket lacks. Default: `false`, an error. An option that this process can
   * set, and that is refused on one connection only, is an error either way.
   */
  bestEffort?: boolean
}

/** What became of one target of {@link tuneAll}. All empty: everything is set. */
export interface TuneResult {
  /** Why nothing of it was set. */
  readonly error?: Error
  /**
   * What waits until the peer has been heard, since it could end the connection as it is; or until it is connected. Of
   * a borrowed socket, whose peer was not heard in time: what was left out.
   */
  readonly pending?: Profile
  /** What was left out by `bestEffort`. */
  readonly skipped?: readonly OptionName[]
}

const DONE: TuneResult = Object.freeze({})

/**
 * Sets keepalive options, all or none.
 *
 * - **A connection** is set at once; one that is still connecting as soon as it has a descriptor, at each attempt
 *   (Happy Eyeballs opens several) and when it is connected; a refusal destroys it then with that error. The same holds for a request,
 *   WebSocket or HTTP/2 session that has no connection yet. A socket.io Socket that gets another connection, by an upgrade, is tuned again.
 * - **A server**: every connection that it accepts from now on has the options. They are written to the descriptor that it listens on, at once
 *   and at every later `listen()`, and the kernel copies them to each connection at no cost. Connections that were queued before that are
 *   tuned when they are accepted. In a `cluster` worker this holds at no cost where the primary runs `deadpeer/register` with the same
 *   profile; otherwise each connection is tuned, and so it is with Node's `keepAlive: true`, which overwrites what was inherited. Streams that
 *   the program passes to `server.emit('connection')` are left alone. A fastify instance, a `WebSocketServer` of ws and a Server of
 *   socket.io stand for the HTTP server under them.
 * - **An agent** (`http.Agent`, `https.Agent`, `http.globalAgent`, a subclass): what it has open, and all that it opens later, as
 *   soon as that has a descriptor. A `setKeepAlive` by Node, when a connection is kept for the next request, or by a library (axios)
 *   does not undo it. UNIX sockets stay as they are.
 *
 * Tuning never kills: a value that could end a connection that has long been silent is written once the peer has
 * been heard; {@link inspect} shows it as `pending` until then. Not so for a borrowed socket: `ERR_MUST_WAIT`.
 *
 * @param profile a {@link Profile}, or the name of one of {@link profiles}.
 * @throws {@link InvalidTypeError} `ERR_INVALID_ARG_TYPE`, {@link OutOfRangeError} `ERR_OUT_OF_RANGE` for a bad
 * profile; {@link DeadpeerError} `ERR_SOCKET_CLOSED`, `ERR_NOT_TCP`, `ERR_UNSUPPORTED_OPTION`, `ERR_MUST_WAIT`, or the
 * errno where a sandbox forbids it. Nothing is changed then: options set before the refused one go back to what they were. One that
 * followed the system's default is pinned to the value it had; Linux cannot un-set it. A defined profile is known to be taken, so what was
 * there is not read; where a sandbox or a BPF program refuses a later option all the same, the error names those before it as `written`.
 * @example
 * ```ts
 * tune(server, 'cloud')
 * tune(socket, { initialDelay: 10_000, interval: 2_000, count: 3, userTimeout: 16_000 })
 * ```
 */
export function tune(
  target: Target | ServerTarget | http.Agent,
  profile: Profile | PresetName,
  options: TuneOptions = {},
): void {
  checkOrder(target, profile, 'tune(target, profile)')
  const bestEffort = isBestEffort(options)
  const compiled = compile(profile, bestEffort)
  if (!compiled) {
    tuneByNode(target, profile, bestEffort)
  } else if (isAgent(target)) {
    tuneOpening(target, compiled)
  } else if (!(target instanceof net.Socket) && isServer(target)) {
    tuneServers(target, compiled)
  } else {
    tuneTarget(target, compiled)
    noteExplicitProfile(target, compiled.profile)
  }
}

/**
 * Sets the same options on many connections, in order, one result each. One that fails does not hold up the
 * others. Runs in slices that leave the event loop free, and paces those writes that make the kernel send a probe: a
 * burst of thousands would be dropped on the way, and the peers look dead.
 *
 * Of a borrowed socket it writes first what is safe, and the rest once the peer has answered, within two seconds. What had
 * to be left out even so is in its result as `pending`, and is not kept.
 *
 * @throws (rejects) for a bad profile, as {@link tune} does; never for a bad target.
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

/** A write takes about 1.5 µs a connection: a slice is less than a millisecond. */
const SLICE = 512

/** Tunes a slice in one native call. Returns the indices of those yet to be tuned, which may make the kernel send a probe. */
function tuneSlice(list: Target[], start: number, compiled: Compiled, results: TuneResult[]): number[] {
  const { core, native } = compiled
  const count = Math.min(SLICE, list.length - start)
  const handles = new Array<Handle | undefined>(count)
  const fds = new Int32Array(count)
  const heardAt = new Float64Array(count)
  for (let i = 0; i < count; i++) {
    const target = list[start + i]!
    // What has no descriptor here is refused below, and then looked at one by one.
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

/** The handle of a target that is connected, without complaint about others. */
function connectedHandle(target: Target): Handle | undefined {
  if (typeof target === 'number' || target instanceof BorrowedSocket) return undefined
  const socket = target instanceof net.Socket ? target : settledSocket(target)
  return socket === undefined || socket.connecting ? undefined : handleOf(socket)
}

/** Of any value: `instanceof` throws for a revoked proxy. */
function isBorrowed(target: unknown): target is BorrowedSocket {
  return tryOr(() => target instanceof BorrowedSocket, false)
}

function tuneTarget(target: Target, compiled: Compiled, hasTurn = false): TuneResult {
  if (target instanceof BorrowedSocket) return tuneBorrowed(target, compiled, hasTurn)
  if (typeof target === 'number') return tuneDescriptor(checkDescriptor(target), compiled, undefined, hasTurn)
  if (!(target instanceof net.Socket)) return tuneHeld(target, compiled, hasTurn)
  return tuneSocket(target, compiled, hasTurn)
}

/** A request, a WebSocket, and whatever else has a connection, or will have. */
function tuneHeld(target: Exclude<OwnTarget, number>, compiled: Compiled, hasTurn: boolean): TuneResult {
  if (typeof target !== 'object' || target === null) throw notATarget(target)
  let result: TuneResult = { pending: compiled.profile }
  tuneHolder(target, compiled, {
    connection: (socket, tuning) => {
      result = tuneSocket(socket, tuning, hasTurn)
      noteExplicitProfile(socket, tuning.profile)
    },
    merge,
  })
  return result
}

function tuneSocket(socket: net.Socket, compiled: Compiled, hasTurn: boolean): TuneResult {
  if (mayConnect(socket)) {
    whenConnecting(socket, (fd) => tuneDescriptor(fd, compiled))
    return { pending: compiled.profile }
  }
  const fd = descriptorOf(socket)
  if (fd < 0) throw noDescriptor(socket)
  return tuneDescriptor(fd, compiled, handleOf(socket), hasTurn)
}

/** Nothing can wait for another process's socket, which is given back at once. */
function tuneBorrowed(target: BorrowedSocket, compiled: Compiled, hasTurn: boolean): TuneResult {
  return target.use((fd) => tuneDescriptor(fd, compiled, undefined, hasTurn, applyOrRefuse))
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

const held: NotTuned = { held: true, refusal: undefined }

function tuneDescriptor(
  fd: number,
  compiled: Compiled,
  handle?: Handle,
  hasTurn = false,
  write = applyOrDefer,
): TuneResult {
  const { core, native, profile, skipped } = compiled
  // The options in force are not the owner's: overlay/ writes.
  const tuned = findOverlay(core, fd) ? held : core.tune(fd, native, lastHeard(handle))
  if (typeof tuned === 'number') return succeeded(compiled, handle, tuned)
  try {
    if (tuned.refusal) throw refusalError(tuned.refusal, fd)
    const pending = write(core, fd, profile, hasTurn)
    forgetClock(compiled, handle)
    return {
      ...(Object.keys(pending).length > 0 && { pending }),
      ...(skipped.length > 0 && { skipped }),
    }
  } catch (error) {
    const field = optionToLeaveOut(compiled, error)
    if (field === undefined) throw error
    return tuneDescriptor(fd, without(compiled, field), handle, hasTurn, write)
  }
}

function succeeded(compiled: Compiled, handle: Handle | undefined, heardAt: number): TuneResult {
  noteHeard(handle, heardAt)
  forgetClock(compiled, handle)
  return compiled.skipped.length > 0 ? { skipped: compiled.skipped } : DONE
}

/**
 * Without TCP_KEEPIDLE, keepalive that is switched on starts its timer anew, and a timer that stands at the interval stays there, whatever
 * the interval is from now on.
 */
function forgetClock({ profile }: Compiled, handle: Handle | undefined): void {
  const { enable, initialDelay, interval } = profile
  if (initialDelay === undefined && (enable !== undefined || interval !== undefined)) noteClock(handle, false)
}

/** The refused option, where `bestEffort` does without it. */
function optionToLeaveOut({ optional, profile }: Compiled, error: unknown): OptionName | undefined {
  if (!(error instanceof DeadpeerError)) return undefined
  const field = error.field as OptionName | undefined
  if (field === undefined || !optional.has(field) || !(field in profile)) return undefined
  // MPTCP sockets do not have all that this process can set on others. What is forbidden on this connection only stays an error.
  return error.code === 'ERR_UNSUPPORTED_OPTION' || !canSetNow(field) ? field : undefined
}

/** All that a target listens with, now and later. */
function tuneServers(target: ServerTarget, compiled: Compiled): void {
  for (const server of serversOf(target)!) tuneListening(server, compiled)
  onFurtherServer(target, (server) => tuneListening(server, compiled))
  if (!isWithoutServer(target)) return
  rehearse(compiled)
  tuneWebSockets(target, compiled, { connection: tuneAndTell, merge })
}

function tuneListening(server: net.Server, compiled: Compiled): void {
  // Also where no descriptor will ever be set: a refusal is thrown here and now.
  rehearse(compiled)
  tuneServer(server, compiled, {
    listener: (fd, tuning) => void tuneDescriptor(fd, tuning),
    connection: (socket, tuning) => void tuneTarget(socket, tuning),
    merge,
  })
}

function tuneOpening(agent: http.Agent, compiled: Compiled): void {
  rehearse(compiled)
  tuneAgent(agent, compiled, { connection: tuneAndTell, merge })
}

function tuneAndTell(socket: net.Socket, compiled: Compiled): void {
  tuneTarget(socket, compiled)
  noteExplicitProfile(socket, compiled.profile)
}

const tuneOptions: Options<TuneOptions> = {
  of: 'tune()',
  example: '{ bestEffort: true }',
  checks: { bestEffort: trueOrFalse },
}

function isBestEffort(options: TuneOptions): boolean {
  return checkOptions(options, tuneOptions).bestEffort ?? false
}

function resultOf(run: () => TuneResult | undefined): TuneResult {
  try {
    return run() ?? DONE
  } catch (error) {
    return { error: errorFrom(error) }
  }
}

import type http from 'node:http'
import net from 'node:net'
import { tuneWebSockets } from '../connection/accepted-websockets.js'
import { isAgent } from '../connection/agent-hooks.js'
import { tuneAgent } from '../connection/agent-tuning.js'
import { noteExplicitProfile } from '../connection/explicit-profile.js'
import { onFurtherServer } from '../connection/further-servers.js'
import { isServer, isWithoutServer, type ServerTarget, serversOf } from '../connection/listening.js'
import { checkOrder } from '../connection/not-a-target.js'
import type { Target } from '../connection/target.js'
import { checkOptions, type Options, trueOrFalse } from '../options/check.js'
import { type Compiled, compile, merge, rehearse } from '../profile/compile.js'
import type { PresetName } from '../profile/presets.js'
import type { Profile } from '../profile/profile.js'
import { tuneDescriptor, tuneTarget } from './connection.js'
import { tuneByNode } from './node-fallback.js'
import { tuneServer } from './server.js'

/** How `tune` and `tuneAll` set options. */
export interface TuneOptions {
  /**
   * Leave out options that this process cannot set: {@link capabilities} has `false` for them, because the kernel or platform lacks them or a
   * sandbox forbids them. Also leave out options that an MPTCP socket lacks. Default: `false`, which makes these an error. An option that this
   * process can set, but that is refused on one connection, is an error in both cases.
   */
  bestEffort?: boolean
}

/**
 * Sets keepalive options: all of them, or none.
 *
 * - **A connection** is tuned at once. While it is still connecting, it is tuned as soon as it has a descriptor, at each attempt (Happy Eyeballs
 *   opens several), and when it is connected. If the kernel then refuses an option, the socket is destroyed with that error. The same holds for a
 *   request, WebSocket or
 *   HTTP/2 session that has no connection yet. A socket.io Socket is tuned again when an upgrade gives it another connection.
 * - **A server**: every connection that it accepts from now on has the options. They are written to the descriptor that it listens on, at once
 *   and at every later `listen()`. The kernel copies them to each connection at no cost. Connections that were queued before that are tuned
 *   when they are accepted. In a `cluster` worker the copy needs a primary that runs `deadpeer/register` with the same profile. Otherwise, and
 *   with Node's `keepAlive: true`, which overwrites inherited options, each connection is tuned. Streams that the program passes to
 *   `server.emit('connection')` are left alone. For a fastify instance, a `WebSocketServer` of ws or a Server of socket.io, the HTTP server under
 *   it is tuned.
 * - **An agent** (`http.Agent`, `https.Agent`, `http.globalAgent`, a subclass): its open connections are tuned at once, and later ones as soon
 * as they have a descriptor. They are tuned again after Node or a library such as axios calls `setKeepAlive`. Node does that when it keeps a
 * connection for the next request. UNIX sockets are left alone.
 *
 * Tuning never ends a connection. A value that could end a connection that has been idle for long is written once the peer is heard. Until then
 * {@link inspect} shows it as `pending`. For a borrowed socket such a value throws `ERR_MUST_WAIT` instead.
 *
 * @param profile a {@link Profile}, or the name of one of {@link profiles}.
 * @throws {@link InvalidTypeError} `ERR_INVALID_ARG_TYPE`, {@link OutOfRangeError} `ERR_OUT_OF_RANGE` for a bad
 * profile; {@link DeadpeerError} `ERR_SOCKET_CLOSED`, `ERR_NOT_TCP`, `ERR_UNSUPPORTED_OPTION`, `ERR_MUST_WAIT`, or the
 * errno if a sandbox forbids it. Nothing is changed then: options set before the refused one get their previous values back. An option that
 * followed the system's default is pinned to the value it had, because Linux cannot un-set it. Defined profiles are validated beforehand, so the
 * previous values are not saved. If a sandbox or a BPF program refuses a later option anyway, the error lists the earlier ones as `written`.
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
  if (!compiled) tuneByNode(target, profile, bestEffort)
  else if (target instanceof net.Socket) tuneAndNote(target, compiled)
  else if (isAgent(target)) tuneOpening(target, compiled)
  else if (isServer(target)) tuneServers(target, compiled)
  else tuneAndNote(target, compiled)
}

/** Tunes every server of a target, now and later. */
function tuneServers(target: ServerTarget, compiled: Compiled): void {
  for (const server of serversOf(target)!) tuneListening(server, compiled)
  onFurtherServer(target, (server) => tuneListening(server, compiled))
  if (!isWithoutServer(target)) return
  rehearse(compiled)
  tuneWebSockets(target, compiled, { connection: tuneAndNote, merge })
}

function tuneListening(server: net.Server, compiled: Compiled): void {
  // Fail now if the kernel refuses the profile, even if no descriptor is tuned later.
  rehearse(compiled)
  tuneServer(server, compiled, {
    listener: (fd, tuning) => void tuneDescriptor(fd, tuning),
    connection: (socket, tuning) => void tuneTarget(socket, tuning),
    merge,
  })
}

function tuneOpening(agent: http.Agent, compiled: Compiled): void {
  rehearse(compiled)
  tuneAgent(agent, compiled, { connection: tuneAndNote, merge })
}

function tuneAndNote(target: Target, compiled: Compiled): void {
  tuneTarget(target, compiled)
  noteExplicitProfile(target, compiled.profile)
}

const tuneOptions: Options<TuneOptions> = {
  of: 'tune()',
  example: '{ bestEffort: true }',
  checks: { bestEffort: trueOrFalse },
}

export function isBestEffort(options: TuneOptions): boolean {
  return checkOptions(options, tuneOptions).bestEffort ?? false
}

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
   * Leave out options that this kernel, socket or platform does not have, and those that a sandbox forbids this process to set: what
   * {@link capabilities} says cannot be set, and what an MPTCP socket lacks. Default: `false`, an error. An option that this process can
   * set, and that is refused on one connection only, is an error either way.
   */
  bestEffort?: boolean
}

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
  if (!compiled) tuneByNode(target, profile, bestEffort)
  else if (target instanceof net.Socket) tuneAndNote(target, compiled)
  else if (isAgent(target)) tuneOpening(target, compiled)
  else if (isServer(target)) tuneServers(target, compiled)
  else tuneAndNote(target, compiled)
}

/** All that a target listens with, now and later. */
function tuneServers(target: ServerTarget, compiled: Compiled): void {
  for (const server of serversOf(target)!) tuneListening(server, compiled)
  onFurtherServer(target, (server) => tuneListening(server, compiled))
  if (!isWithoutServer(target)) return
  rehearse(compiled)
  tuneWebSockets(target, compiled, { connection: tuneAndNote, merge })
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

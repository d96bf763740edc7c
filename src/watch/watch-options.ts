import { requireCore } from '../kernel/binding.js'
import { abortSignal, anything, checkOptions, type Options } from '../options/check.js'
import { type Confirm, confirmOption, unprovenOption } from '../probe/confirm.js'
import { checkHeartbeat, type HeartbeatOptions } from './heartbeat-options.js'
import type { Heartbeat } from './heartbeat-state.js'
import type { Proof } from './monitor.js'
import { checkOnDead, type OnDead } from './on-dead.js'

/** What a watcher does, for {@link watch}. */
export interface WatchOptions {
  /**
   * What happens to a socket whose peer is dead.
   *
   * - `'destroy'`, the default: the socket is destroyed with a {@link PeerDeathError}.
   * - `'report'`: the socket is left as it is, and Node handles its error.
   * - A function decides for each death. If it returns nothing, that means `'report'`. Any other value means `'report'` too, with one warning in the
   *   life of the process. Examples are a promise, or the number that `(death) => list.push(death)` returns. If it throws, the socket is
   *   left as it is, and the error becomes an uncaught exception, like that of a listener. An async function is refused, because the decision
   *   cannot wait.
   */
  onDead?: OnDead
  /**
   * Probes peers that have not been heard for `every` ms, instead of waiting for the kernel's keepalive timer; see {@link watch}. Default: none.
   */
  heartbeat?: HeartbeatOptions
  /**
   * Sends something before a heartbeat declares a peer dead. If TCP acknowledges it, the peer is alive, and the path is `deaf`. If as many
   * retransmissions as the heartbeat has `attempts` go unacknowledged, the peer is dead. Default: none.
   *
   * @example
   * ```ts
   * watch({ heartbeat: { every: 5_000 }, confirm: 'ping' }).add(webSocketServer)
   * ```
   */
  confirm?: Confirm
  /**
   * `'dead'`: a heartbeat also declares peers dead whose connection has never answered a probe. On a path that passes data and no probes, that
   * ends live connections. Default: such peers are `suspect` only, and the connection's own options decide.
   */
  unproven?: 'dead'
  /** Aborting it closes the watcher. */
  signal?: AbortSignal
}

/** How {@link Watcher.add} watches. */
export interface AddOptions {
  /**
   * The heartbeat of these connections, or of those that this server accepts, instead of the watcher's; `false`: none. If a connection
   * is watched already, this replaces its heartbeat.
   */
  heartbeat?: HeartbeatOptions | false
}

/** The heartbeat that `add` was given. `undefined`: the watcher's, `false`: none. */
export type HeartbeatChoice = Heartbeat | false | undefined

export const watchOptions: Options<WatchOptions> = {
  of: 'watch()',
  example: "{ onDead: 'report' }",
  checks: {
    onDead: checkOnDead,
    heartbeat: anything,
    confirm: confirmOption,
    unproven: unprovenOption,
    signal: abortSignal,
  },
  otherNames: { every: 'heartbeat', attempts: 'heartbeat', ondeath: 'onDead', action: 'onDead' },
}

const addOptions: Options<AddOptions> = {
  of: 'add()',
  example: '{ heartbeat: false }',
  checks: { heartbeat: anything },
  otherNames: { every: 'heartbeat', attempts: 'heartbeat' },
}

export function checkWatchOptions(options: WatchOptions) {
  const { onDead = 'destroy', heartbeat, confirm, unproven, signal } = checkOptions(options, watchOptions)
  const proof: Proof = { trustsSilence: unproven === 'dead', confirm }
  return { onDead, signal, proof, heartbeat: heartbeat === undefined ? undefined : heartbeatOf(heartbeat) }
}

export function checkAddOptions(options: AddOptions): HeartbeatChoice {
  const { heartbeat } = checkOptions(options, addOptions)
  return heartbeat === undefined || heartbeat === false ? heartbeat : heartbeatOf(heartbeat)
}

/** @throws without the native core, because a heartbeat needs it. */
function heartbeatOf(options: HeartbeatOptions): Heartbeat {
  const heartbeat = checkHeartbeat(options)
  requireCore('A heartbeat')
  return heartbeat
}

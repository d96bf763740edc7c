import net from 'node:net'
import { Agent, buildConnector } from 'undici'
import { DeadpeerError } from '../errors.js'
import { checkMixedOptions } from '../options/check.js'
import { compile } from '../profile/compile.js'
import type { PresetName } from '../profile/presets.js'
import type { Profile } from '../profile/profile.js'
import { tune } from '../tune/tune.js'
import { connectorOptions } from './options.js'

/**
 * Creates a connector for undici that tunes each connection as soon as it has a descriptor. It does not tune UNIX sockets.
 *
 * @param profile a {@link Profile}, or the name of one of {@link profiles}.
 * @param wrapped the connector that opens the connections, or options for undici's own. Default: undici's own.
 * @throws the errors of {@link tune} for a bad profile; `ERR_UNSUPPORTED_PLATFORM` in Bun, which replaces undici.
 * @example
 * ```ts
 * new Agent({ connect: connector('cloud') })
 * new Pool(origin, { connect: connector('lan', { timeout: 2_000 }) })
 * ```
 */
export function connector(
  profile: Profile | PresetName,
  wrapped: buildConnector.connector | buildConnector.BuildOptions = {},
): buildConnector.connector {
  mustBeUndici()
  const connect =
    typeof wrapped === 'object' && wrapped !== null ? checkMixedOptions(wrapped, connectorOptions) : wrapped
  compile(profile, false)
  return onConnection(connect, (socket) => tuneIfTcp(socket, profile))
}

/** Wraps a connector. Reports each socket once, before undici gets it, if possible while it connects. */
export function onConnection(
  wrapped: buildConnector.connector | buildConnector.BuildOptions,
  report: (socket: net.Socket, options: buildConnector.Options) => void,
): buildConnector.connector {
  const connect = typeof wrapped === 'function' ? wrapped : buildConnector(wrapped)
  // undici's own connector also returns the socket, although that is not in its types.
  const open = (options: buildConnector.Options, callback: buildConnector.Callback): unknown => {
    let reported: unknown
    const reportOnce = (socket: unknown) => {
      if (!(socket instanceof net.Socket) || socket === reported) return
      reported = socket
      report(socket, options)
    }
    const done: buildConnector.Callback = (...result) => {
      reportOnce(result[1])
      callback(...result)
    }
    const socket: unknown = connect(options, done)
    reportOnce(socket)
    return socket
  }
  return open
}

function tuneIfTcp(socket: net.Socket, profile: Profile | PresetName): void {
  try {
    tune(socket, profile)
  } catch (error) {
    if ((error as DeadpeerError).code !== 'ERR_NOT_TCP') socket.destroy(error as Error)
  }
}

/** @throws in Bun. Its module `undici` has empty agent classes: it sends requests with its own client, and gives no access to connections. */
export function mustBeUndici(): void {
  if (typeof Agent.prototype.dispatch === 'function') return
  throw new DeadpeerError(
    'ERR_UNSUPPORTED_PLATFORM',
    "This runtime (such as Bun) replaces the package 'undici' with its own, whose connections cannot be tuned. Use HttpAgent of deadpeer/http instead.",
  )
}

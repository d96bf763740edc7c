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
 * Makes a connector for undici whose connections are tuned as soon as they have a descriptor. UNIX sockets are left alone.
 *
 * @param profile a {@link Profile}, or the name of one of {@link profiles}.
 * @param wrapped the connector that opens them, or options for undici's own. Default: undici's own.
 * @throws what {@link tune} throws for a bad profile; `ERR_UNSUPPORTED_PLATFORM` in Bun, which has an undici of its own.
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

/** Opens connections by another connector, and reports each before undici gets it, also while it connects. */
export function onConnection(
  wrapped: buildConnector.connector | buildConnector.BuildOptions,
  hear: (socket: net.Socket, options: buildConnector.Options) => void,
): buildConnector.connector {
  const connect = typeof wrapped === 'function' ? wrapped : buildConnector(wrapped)
  // undici's own connector also returns the socket, although that is not in its types.
  const open = (options: buildConnector.Options, callback: buildConnector.Callback): unknown => {
    let heard: unknown
    const hearOnce = (socket: unknown) => {
      if (!(socket instanceof net.Socket) || socket === heard) return
      heard = socket
      hear(socket, options)
    }
    const done: buildConnector.Callback = (...result) => {
      hearOnce(result[1])
      callback(...result)
    }
    const socket: unknown = connect(options, done)
    hearOnce(socket)
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

/** @throws in Bun, whose module of that name has empty classes for agents: it sends requests by its own client and shows no connection. */
export function mustBeUndici(): void {
  if (typeof Agent.prototype.dispatch === 'function') return
  throw new DeadpeerError(
    'ERR_UNSUPPORTED_PLATFORM',
    "This runtime replaces the package 'undici' by its own, as Bun does, and its connections cannot be tuned. Use HttpAgent of deadpeer/http instead.",
  )
}

/**
 * Tunes every TCP socket of a program without code changes: `deadpeer run -- node app.js`, or `node --require <path of this file> app.js`.
 * It exports nothing. Environment variables configure it: see the guide.
 *
 * @module deadpeer/register
 */

import diagnostics from 'node:diagnostics_channel'
import { writeSync } from 'node:fs'
import net from 'node:net'
import { capabilities } from './capabilities.js'
import { acceptedEvent, isShared, onListen } from './connection/accepting-server.js'
import { whenConnecting } from './connection/connecting.js'
import { recordExplicitProfiles } from './connection/explicit-profile.js'
import { type Destination, findRecord, recordOf } from './connection/record.js'
import { descriptorOf, handleOf } from './connection/target.js'
import { DeadpeerError } from './errors.js'
import { allowShortTimeout } from './kernel/socket-options.js'
import { compile } from './profile/compile.js'
import { defineProfile } from './profile/presets.js'
import type { Profile } from './profile/profile.js'
import { onPassed } from './register/passed.js'
import { firstMatch, ruleForAll } from './register/rules.js'
import { readSettings, type Settings } from './register/settings.js'
import { YoungConnections } from './register/young-connections.js'
import { InheritedOptions } from './tune/inherited.js'
import { profileOfServer } from './tune/server.js'
import { tune } from './tune/tune.js'
import type { Death } from './watch/events.js'
import { leaveResets } from './watch/on-dead.js'
import { watch } from './watch/watch.js'
import type { Watcher } from './watch/watcher.js'

const settings = settingsOrExit()
if (settings) register(settings)

function settingsOrExit(): Settings | undefined {
  try {
    const wanted = readSettings(process.env)
    if (wanted && process.versions.bun) {
      throw new DeadpeerError(
        'ERR_UNSUPPORTED_PLATFORM',
        'Bun does not tell which sockets a program opens. Use tune, watch or HttpAgent in the program instead.',
      )
    }
    // If the kernel refuses a profile, fail now, not at the first connection.
    const profiles = wanted ? [...wanted.rules.map(({ value }) => value), wanted.profile] : []
    for (const each of profiles) if (each) compile(each, true)
    return wanted
  } catch (error) {
    // Exit: otherwise the program would run without protection, and its operator would not know.
    writeSync(2, `deadpeer/register: ${(error as Error).message.replaceAll('\n', ' ')}\n`)
    process.exit(1)
  }
}

function register({ profile, rules, watch: action }: Settings): void {
  const { native } = capabilities()
  const watcher = action && watchFor(action)
  const young = watcher && action === 'destroy' ? new YoungConnections(watchNow) : undefined
  // Options that the program tunes itself override these.
  recordExplicitProfiles()

  onMessage('net.server.socket', (socket) => {
    const { remoteAddress: address, localPort: port } = rules.length > 0 ? socket : {}
    protectAccepted(socket, profileFor({ address, port }))
  })
  // Accepted connections inherit the options, including those that are sent to another process before they are tuned here.
  if (native) onListen(tuneListener)
  onPassed({
    received(socket, isAccepted) {
      const { remoteAddress: address, localPort, remotePort } = socket
      const port = isAccepted ? localPort : remotePort
      protect(socket, profileFor({ address, port }), watchOne)
    },
    sent(socket) {
      young?.delete(socket)
      watcher?.delete(socket)
    },
  })
  // undici with its own connector may open connections in another way.
  onMessage('undici:client:connected', (socket) => {
    if (findRecord(socket)?.registerProfile) return
    const { remoteAddress: address, remotePort: port } = socket
    protect(socket, profileFor({ address, port }), watchOne)
  })
  if (opensUnpublished()) wrapConnect(onOpening)
  else onMessage('net.client.socket', onOpening)
  // Without the native core, tuning itself calls setKeepAlive.
  if (native) afterSetKeepAlive(tuneAgain)

  function profileFor(destination: Destination): Profile | undefined {
    const rule = rules.length > 0 ? firstMatch(rules, destination) : undefined
    return rule ? rule.value : profile
  }

  function tuneListener(server: net.Server): void {
    const fd = handleOf(server)?.fd
    const address = server.address()
    if (fd === undefined || isShared(server) || address === null || typeof address === 'string') return
    const wanted = rules.length > 0 ? profileForAll(address.port) : profile
    if (!wanted) return
    try {
      const profile = onTop(profileOfServer(server), wanted)
      tune(fd, profile, { bestEffort: true })
      const inherited = new InheritedOptions()
      inherited.listenerTuned()
      listeners.set(server, { profile, inherited })
    } catch (error) {
      warn(error as Error)
    }
  }

  /** The profile of all connections to a port. `undefined` if it depends on their address, or if the rule is `off`. */
  function profileForAll(port: number): Profile | undefined {
    const rule = ruleForAll(rules, { port })
    return rule === 'depends' ? undefined : rule ? rule.value : profile
  }

  function onOpening(socket: net.Socket): void {
    const destination = rules.length > 0 ? destinationOf(socket) : {}
    const onDescriptor = () => protect(socket, profileFor(destination), watchOne)
    if (native) whenConnecting(socket, onDescriptor)
    else socket.prependOnceListener('connect', onDescriptor)
  }

  /** Tunes an accepted connection, unless it has inherited its options from the listener. */
  function protectAccepted(socket: net.Socket, wanted: Profile | undefined): void {
    const server = serverOf(socket)
    const listener = server && listeners.get(server)
    const hasInherited =
      listener !== undefined &&
      wanted !== undefined &&
      listener.profile === onTop(profileOfServer(server!), wanted)
    protect(socket, wanted, watchAccepted, hasInherited ? listener.inherited : undefined)
  }

  /** Tunes and watches a socket. An error must not end the program's connection, so it becomes a warning. */
  function protect(
    socket: net.Socket,
    wanted: Profile | undefined,
    add?: (socket: net.Socket) => void,
    inherited?: InheritedOptions,
  ): void {
    if (!wanted || !handleOf(socket) || socket.destroyed) return
    try {
      const record = recordOf(socket)
      record.registerProfile = wanted
      if (!inherited) tuneNow(socket, wanted)
      else if (!inherited.isProven) inherited.tune(descriptorOf(socket), () => tuneNow(socket, wanted))
      add?.(socket)
    } catch (error) {
      warn(error as Error)
    }
  }

  function tuneNow(socket: net.Socket, wanted: Profile): void {
    const server = serverOf(socket)
    const own = findRecord(socket)?.explicitProfile ?? (server && profileOfServer(server))
    tune(native ? descriptorOf(socket) : socket, onTop(own, wanted), { bestEffort: true })
  }

  function tuneAgain(socket: net.Socket): void {
    protect(socket, findRecord(socket)?.registerProfile)
  }

  function watchOne(socket: net.Socket): void {
    if (young) young.add(socket)
    else watcher?.add(socket)
  }

  function watchNow(socket: net.Socket): void {
    try {
      watcher?.add(socket)
    } catch (error) {
      warn(error as Error)
    }
  }

  /** For a TLS server, watches the TLSSocket that the program gets, not the socket under it. */
  function watchAccepted(socket: net.Socket): void {
    const server = serverOf(socket)
    if (!server || acceptedEvent(server) === 'connection') watchOne(socket)
    else if (watcher && !server.listeners('secureConnection').includes(watchSecured)) {
      server.prependListener('secureConnection', watchSecured)
    }
  }

  function watchSecured(secure: net.Socket): void {
    try {
      if (!secure.destroyed) watchOne(secure)
    } catch (error) {
      warn(error as Error)
    }
  }
}

/** The listeners that were tuned here, with the profile that accepted connections inherit. */
const listeners = new WeakMap<net.Server, { profile: Profile; inherited: InheritedOptions }>()

const merged = new WeakMap<Profile, WeakMap<Profile, Profile>>()

/** Merges two profiles; `own` wins. Cached for each pair, because a server may accept thousands of connections. */
function onTop(own: Profile | undefined, wanted: Profile): Profile {
  if (!own) return wanted
  const known = merged.get(own) ?? new WeakMap<Profile, Profile>()
  merged.set(own, known)
  let both = known.get(wanted)
  if (!both) {
    const fields = { ...wanted, ...own }
    // Both were checked before, and `own` may have been read from a socket.
    allowShortTimeout(fields)
    both = defineProfile(fields)
    known.set(wanted, both)
  }
  return both
}

/** The server that accepted a connection. */
function serverOf(socket: net.Socket): net.Server | undefined {
  return (socket as net.Socket & { server?: net.Server | null }).server ?? undefined
}

function onMessage(name: string, onSocket: (socket: net.Socket) => void): void {
  diagnostics.subscribe(name, (message) => {
    const { socket } = message as { socket?: unknown }
    if (socket instanceof net.Socket) onSocket(socket)
  })
}

/**
 * Whether this version of Node opens connections without publishing them. Node 20 publishes those of `net.connect`, but not of `new
 * Socket().connect()` and `tls.connect`.
 */
function opensUnpublished(): boolean {
  return Number.parseInt(process.versions.node, 10) < 22
}

function wrapConnect(onConnect: (socket: net.Socket) => void): void {
  const { connect } = net.Socket.prototype
  net.Socket.prototype.connect = function (this: net.Socket, ...args: unknown[]) {
    onConnect(this)
    return Reflect.apply(connect, this, args)
  } as typeof connect
}

/** Libraries call `setKeepAlive` once they are connected, and Node's agents each time they keep a connection. Both overwrite tuned options. */
function afterSetKeepAlive(onCall: (socket: net.Socket) => void): void {
  const { setKeepAlive } = net.Socket.prototype
  net.Socket.prototype.setKeepAlive = function (this: net.Socket, ...args: unknown[]) {
    const result: unknown = Reflect.apply(setKeepAlive, this, args)
    onCall(this)
    return result
  } as typeof setKeepAlive
}

/** The destination of a connecting socket. Host, address and port are filled in as they become known. */
function destinationOf(socket: net.Socket): Destination {
  const record = recordOf(socket)
  record.destination ??= {}
  // A socket may connect several times, so the listeners may be there already.
  if (!socket.listeners('lookup').includes(noteHost)) {
    socket.on('lookup', noteHost)
    socket.on('connectionAttempt', noteAddress)
  }
  return record.destination
}

function noteHost(
  this: net.Socket,
  _error: Error | null,
  _address: string,
  _family: number,
  host: string,
): void {
  const { destination } = recordOf(this)
  if (destination) destination.host = host
}

function noteAddress(this: net.Socket, address: string, port: number): void {
  const { destination } = recordOf(this)
  if (destination) Object.assign(destination, { address, port })
}

function watchFor(onDead: 'destroy' | 'report'): Watcher {
  const watcher = watch({ onDead: onDead === 'destroy' ? leaveResets : onDead })
  watcher.on('error', warn)
  // With 'destroy', the program gets the error from the socket.
  if (onDead === 'report') watcher.on('dead', report)
  return watcher
}

function report({ remote: { address, port, family }, error }: Death): void {
  const host = family === 'IPv6' ? `[${address}]` : address
  process.emitWarning(`${host}:${port}: ${error.message}`, { type: 'DeadPeer', code: 'DEADPEER_DEATH' })
}

const warned = new Set<string>()

/** Warns once for each code. Ignores sockets that are not TCP, such as UNIX sockets. */
function warn(error: Error): void {
  const { code } = error as DeadpeerError
  if (code === 'ERR_NOT_TCP' || warned.has(code)) return
  warned.add(code)
  process.emitWarning(`A connection could not be tuned or watched: ${error.message}`, {
    code: 'DEADPEER_NOT_TUNED',
    detail: String(code),
  })
}

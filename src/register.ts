/**
 * `deadpeer run -- node app.js`, or `node --require <path of this file> app.js`: tunes every TCP socket of a program, without a change to it.
 * It exports nothing; environment variables set it up, which the guide explains.
 *
 * @module deadpeer/register
 */

import diagnostics from 'node:diagnostics_channel'
import { writeSync } from 'node:fs'
import net from 'node:net'
import { capabilities } from './capabilities.js'
import { acceptedEvent, isShared, onListen } from './connection/accepting-server.js'
import { whenConnecting } from './connection/connecting.js'
import { hearChosen } from './connection/explicit-profile.js'
import { type Handle, handleOf } from './connection/target.js'
import { DeadpeerError } from './errors.js'
import { allowShortTimeout } from './kernel/options.js'
import { compile } from './profile/compile.js'
import { defineProfile } from './profile/presets.js'
import type { Profile } from './profile/profile.js'
import { onPassed } from './register/passed.js'
import { firstMatch, ruleForAll, type Way } from './register/rules.js'
import { readSettings, type Settings } from './register/settings.js'
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
        'Bun does not tell which sockets a program opens. Without this the program can tune its own: tune, watch, HttpAgent.',
      )
    }
    // What the kernel refuses is to be known now as well, not at the first connection.
    if (wanted)
      for (const { value } of [...wanted.rules, { value: wanted.profile }]) value && compile(value, true)
    return wanted
  } catch (error) {
    // A program that believes itself protected and is not would be worse than one that does not start.
    writeSync(2, `deadpeer/register: ${(error as Error).message.replaceAll('\n', ' ')}\n`)
    process.exit(1)
  }
}

function register({ profile, rules, watch: action }: Settings): void {
  const { native } = capabilities()
  const watcher = action && watchFor(action)
  /** What the program tunes itself comes on top of that, and stays. */
  const chosen = new WeakMap<net.Socket | net.Server, Profile>()
  /** Of which it is heard what has shaken hands. */
  const secureServers = new WeakSet<net.Server>()
  hearChosen((target, own) => {
    const earlier = chosen.get(target)
    chosen.set(target, earlier && earlier !== own ? { ...earlier, ...own } : own)
  })

  onMessage('net.server.socket', (socket) => {
    const { remoteAddress: address, localPort: port } = rules.length > 0 ? socket : {}
    protect(socket, profileFor({ address, port }), () => watchAccepted(socket))
  })
  // Its connections inherit the options, also those that are sent to another process before they are tuned here.
  if (native) onListen(tuneListener)
  onPassed({
    received(socket, isAccepted) {
      const { remoteAddress: address, localPort, remotePort } = socket
      const port = isAccepted ? localPort : remotePort
      protect(socket, profileFor({ address, port }), () => watchOne(socket))
    },
    sent: (socket) => void watcher?.delete(socket),
  })
  // An undici of the program's own, with a connector of the program's own, may have opened it in some other way.
  onMessage('undici:client:connected', (socket) => {
    const handle = innermostHandle(socket)
    if (!handle || handle[tuned]) return
    const { remoteAddress: address, remotePort: port } = socket
    protect(socket, profileFor({ address, port }), () => watchOne(socket))
  })
  if (opensUnseen()) wrapConnect(onOpening)
  else onMessage('net.client.socket', onOpening)
  // Without the native core it is what tunes.
  if (native) afterSetKeepAlive((socket) => tuneAgain(socket))

  function profileFor(way: Way): Profile | undefined {
    const rule = rules.length > 0 ? firstMatch(rules, way) : undefined
    return rule ? rule.value : profile
  }

  function tuneListener(server: net.Server): void {
    const fd = handleOf(server)?.fd
    const address = server.address()
    if (fd === undefined || isShared(server) || address === null || typeof address === 'string') return
    const wanted = rules.length > 0 ? profileForAll(address.port) : profile
    if (!wanted) return
    try {
      const own = chosen.get(server)
      tune(fd, own ? onTop(own, wanted) : wanted, { bestEffort: true })
    } catch (error) {
      warn(error as Error)
    }
  }

  /** For every connection that comes in at a port; `undefined` where that depends on its address, or where it is `off`. */
  function profileForAll(port: number): Profile | undefined {
    const rule = ruleForAll(rules, { port })
    return rule === 'depends' ? undefined : rule ? rule.value : profile
  }

  function onOpening(socket: net.Socket): void {
    const way = rules.length > 0 ? wayOf(socket) : {}
    const onDescriptor = () => protect(socket, profileFor(way), () => watchOne(socket))
    if (native) whenConnecting(socket, onDescriptor)
    else socket.prependOnceListener('connect', onDescriptor)
  }

  /** The program's connection must not end because of us: what goes wrong is a warning. */
  function protect(socket: net.Socket, wanted: Profile | undefined, add: () => void): void {
    const handle = innermostHandle(socket)
    if (!wanted || !handle || socket.destroyed) return
    try {
      tune(native ? (handle.fd ?? -1) : socket, withChosen(socket, wanted), { bestEffort: true })
      handle[tuned] = wanted
      add()
    } catch (error) {
      warn(error as Error)
    }
  }

  function tuneAgain(socket: net.Socket): void {
    protect(socket, innermostHandle(socket)?.[tuned], () => {})
  }

  function withChosen(socket: net.Socket, wanted: Profile): Profile {
    const server = serverOf(socket)
    const own = chosen.get(socket) ?? (server && chosen.get(server))
    return own ? onTop(own, wanted) : wanted
  }

  function watchOne(socket: net.Socket): void {
    watcher?.add(socket)
  }

  /** What a TLS server accepts is the TLSSocket that the program gets, not what is under it. */
  function watchAccepted(socket: net.Socket): void {
    const server = serverOf(socket)
    if (!server || acceptedEvent(server) === 'connection') watchOne(socket)
    else if (watcher && !secureServers.has(server)) watchSecured(server)
  }

  function watchSecured(server: net.Server): void {
    secureServers.add(server)
    server.prependListener('secureConnection', (secure: net.Socket) => {
      try {
        if (!secure.destroyed) watchOne(secure)
      } catch (error) {
        warn(error as Error)
      }
    })
  }
}

/** Both were checked when they were given; the second may have been read from a socket. */
function merge(first: Profile, second: Profile): Profile {
  const both = { ...first, ...second }
  allowShortTimeout(both)
  return both
}

const merged = new WeakMap<Profile, WeakMap<Profile, Profile>>()

/** Both, the first over the second: defined once, since a server may accept thousands. */
function onTop(own: Profile, wanted: Profile): Profile {
  const known = merged.get(own) ?? new WeakMap<Profile, Profile>()
  merged.set(own, known)
  const both = known.get(wanted) ?? defineProfile(merge(wanted, own))
  known.set(wanted, both)
  return both
}

/** The server that accepted a connection. */
function serverOf(socket: net.Socket): net.Server | undefined {
  return (socket as net.Socket & { server?: net.Server | null }).server ?? undefined
}

/** What a connection is tuned to from here. At its handle, as that stands for one connection; a WeakMap would take V8 twice as long. */
const tuned = Symbol('deadpeer.tuned')

type OwnHandle = Handle & { readonly _parent?: OwnHandle; [tuned]?: Profile }

/** That of the TCP connection under a TLSSocket, which was perhaps tuned before there was one. */
function innermostHandle(socket: net.Socket): OwnHandle | undefined {
  let handle = handleOf(socket) as OwnHandle | undefined
  while (handle?._parent) handle = handle._parent
  return handle
}

function onMessage(name: string, hear: (socket: net.Socket) => void): void {
  diagnostics.subscribe(name, (message) => {
    const { socket } = message as { socket?: unknown }
    if (socket instanceof net.Socket) hear(socket)
  })
}

/** Node 20 publishes what `net.connect` opens, but neither `new Socket().connect()` nor `tls.connect`. */
function opensUnseen(): boolean {
  return Number.parseInt(process.versions.node, 10) < 22
}

function wrapConnect(hear: (socket: net.Socket) => void): void {
  const { connect } = net.Socket.prototype
  net.Socket.prototype.connect = function (this: net.Socket, ...args: unknown[]) {
    hear(this)
    return Reflect.apply(connect, this, args)
  } as typeof connect
}

/** Libraries have settings of their own, which they make when they are connected; and Node's agents, each time a connection is kept. */
function afterSetKeepAlive(hear: (socket: net.Socket) => void): void {
  const { setKeepAlive } = net.Socket.prototype
  net.Socket.prototype.setKeepAlive = function (this: net.Socket, ...args: unknown[]) {
    const result: unknown = Reflect.apply(setKeepAlive, this, args)
    hear(this)
    return result
  } as typeof setKeepAlive
}

const ways = new WeakMap<net.Socket, Way>()

/** Where a socket is being connected to, filled in as that is known; also when it is connected again. */
function wayOf(socket: net.Socket): Way {
  const known = ways.get(socket)
  if (known) return known
  const way: { -readonly [Key in keyof Way]: Way[Key] } = {}
  ways.set(socket, way)
  socket.on('lookup', (_error, _address, _family, host) => {
    way.host = host
  })
  socket.on('connectionAttempt', (address, port) => {
    way.address = address
    way.port = port
  })
  return way
}

function watchFor(onDead: 'destroy' | 'report'): Watcher {
  const watcher = watch({ onDead: onDead === 'destroy' ? leaveResets : onDead })
  watcher.on('error', warn)
  // Where it is destroyed, the program is told by its own socket.
  if (onDead === 'report') watcher.on('dead', report)
  return watcher
}

function report({ remote: { address, port, family }, error }: Death): void {
  const host = family === 'IPv6' ? `[${address}]` : address
  process.emitWarning(`${host}:${port}: ${error.message}`, { type: 'DeadPeer', code: 'DEADPEER_DEATH' })
}

const warned = new Set<string>()

/** Once for each kind. UNIX sockets and the like are none of our business. */
function warn(error: Error): void {
  const { code } = error as DeadpeerError
  if (code === 'ERR_NOT_TCP' || warned.has(code)) return
  warned.add(code)
  process.emitWarning(`A connection could not be tuned or watched: ${error.message}`, {
    code: 'DEADPEER_NOT_TUNED',
    detail: String(code),
  })
}

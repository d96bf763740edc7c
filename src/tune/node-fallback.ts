import type http from 'node:http'
import net from 'node:net'
import { tuneWebSockets } from '../connection/accepted-websockets.js'
import { onAccepted } from '../connection/accepting-server.js'
import { isAgent } from '../connection/agent-hooks.js'
import { tuneAgent } from '../connection/agent-tuning.js'
import { BorrowedSocket } from '../connection/borrowed.js'
import { onFurtherServer } from '../connection/further-servers.js'
import { keepTuning, type TuningWriter } from '../connection/kept-tuning.js'
import { isServer, isWithoutServer, type ServerTarget, serversOf } from '../connection/listening.js'
import { notATarget } from '../connection/not-a-target.js'
import { checkTarget, noDescriptor, type Target, unwrap } from '../connection/target.js'
import { DeadpeerError } from '../errors.js'
import { missingReason } from '../kernel/binding.js'
import { type OptionName, optionTable } from '../kernel/options.js'
import { isPreset, type PresetName, profileOf } from '../profile/presets.js'
import { checkProfile, type Profile } from '../profile/profile.js'
import { tuneHolder } from './holder.js'

/** `setKeepAlive({ … })` with interval and count: Node 24.19 and 26.4 brought it. */
function nodeSetsAllThree(): boolean {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  return major > 26 || (major === 26 && minor >= 4) || (major === 24 && minor >= 19)
}

const always: readonly OptionName[] = ['enable', 'initialDelay']
const newer: readonly OptionName[] = ['interval', 'count']

/** What Node's own `setKeepAlive` can do of a profile. */
export function nodeCan(name: OptionName): boolean {
  return always.includes(name) || (newer.includes(name) && nodeSetsAllThree())
}

/** Off is how every socket begins, and without the native core nothing here switches it on. */
function isAlreadySo(name: OptionName, profile: Profile): boolean {
  return name === 'userTimeout' && profile.userTimeout === 0
}

let warned = false

/**
 * Checks what Node can do of a profile where there is no native core. What it cannot is an error where it was asked
 * for by hand; for a preset, or with `bestEffort`, it is left out, with one warning in the life of the process.
 */
function checkForNode(profile: Profile, bestEffort: boolean): void {
  const missing = (Object.keys(profile) as OptionName[]).filter(
    (name) => !nodeCan(name) && !isAlreadySo(name, profile),
  )
  const [field] = missing
  if (field === undefined) return
  if (!bestEffort) {
    throw new DeadpeerError(
      'ERR_UNSUPPORTED_OPTION',
      `${field} (${optionTable[field].constant}) needs the native core: ${missingReason()}. ` +
        "Node's own setKeepAlive does not have it; { bestEffort: true } does without. Nothing was changed.",
      { field, constant: optionTable[field].constant },
    )
  }
  if (warned) return
  warned = true
  process.emitWarning(
    `deadpeer has no native core here: ${missingReason()}. It tunes with Node's own setKeepAlive, without ${missing.join(', ')}.`,
    { code: 'DEADPEER_NO_NATIVE_CORE' },
  )
}

/**
 * Tunes by Node's own means, where there is no native core. A descriptor's number is of no use to them, and a
 * server is tuned per connection.
 */
export function tuneByNode(
  target: Target | ServerTarget | http.Agent,
  wanted: Profile | PresetName,
  bestEffort: boolean,
): undefined {
  const profile = checkProfile(profileOf(wanted))
  if (typeof target === 'number' || target instanceof BorrowedSocket) {
    checkTarget(target)
    const message = `A bare descriptor needs the native core: ${missingReason()}. Pass the socket.`
    throw new DeadpeerError('ERR_UNSUPPORTED_PLATFORM', message)
  }
  const isLenient = bestEffort || isPreset(wanted)
  if (isAgent(target)) {
    checkForNode(profile, isLenient)
    tuneAgent(target, profile, writer)
  } else if (target instanceof net.Socket) {
    if (target.destroyed) throw noDescriptor(target)
    checkForNode(profile, isLenient)
    setKeepAlive(unwrap(target), profile)
  } else if (isServer(target)) {
    checkForNode(profile, isLenient)
    tuneServers(target, profile)
  } else {
    if (typeof target !== 'object' || target === null) throw notATarget(target)
    checkForNode(profile, isLenient)
    const connection = (socket: net.Socket, tuning: Profile) => {
      if (socket.destroyed) throw noDescriptor(socket)
      setKeepAlive(unwrap(socket), tuning)
    }
    tuneHolder(target, profile, { connection, merge })
  }
}

function merge(earlier: Profile, later: Profile): Profile {
  return { ...earlier, ...later }
}

const writer: TuningWriter<Profile> = { connection: setKeepAlive, merge }

function tuneServers(target: ServerTarget, profile: Profile): void {
  for (const server of serversOf(target)!) tuneServer(server, profile)
  onFurtherServer(target, (server) => tuneServer(server, profile))
  if (isWithoutServer(target)) tuneWebSockets(target, profile, writer)
}

function tuneServer(server: net.Server, profile: Profile): void {
  const kept = keepTuning(server, profile, writer)
  if (kept) onAccepted(server, kept.tuneOrDestroy)
}

/** Node keeps it for later where the socket is not connected yet. */
function setKeepAlive(socket: net.Socket, { enable, initialDelay, interval, count }: Profile): void {
  if (enable === undefined) return
  if (nodeSetsAllThree()) {
    const options = { enable, ...defined({ initialDelay, interval, count }) }
    // @types/node describes the older form alone.
    ;(socket.setKeepAlive as unknown as (options: object) => void).call(socket, options)
  } else {
    socket.setKeepAlive(enable, initialDelay ?? 0)
  }
}

function defined(values: object): object {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
}

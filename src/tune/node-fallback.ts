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
import { type OptionName, optionTable } from '../kernel/socket-options.js'
import { isPreset, type PresetName, profileOf } from '../profile/presets.js'
import { checkProfile, type Profile } from '../profile/profile.js'
import { tuneHolder } from './holder.js'

/** Whether `setKeepAlive({ … })` takes interval and count: from Node 24.19 and 26.4 on. */
function nodeSetsAllThree(): boolean {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  return major > 26 || (major === 26 && minor >= 4) || (major === 24 && minor >= 19)
}

/** Whether Node's own `setKeepAlive` can set this field of a profile. */
export function nodeCan(name: OptionName): boolean {
  if (name === 'interval' || name === 'count') return nodeSetsAllThree()
  return name === 'enable' || name === 'initialDelay'
}

let warned = false

/**
 * Checks which fields of a profile Node can set without the native core. Any other field is an error. For a preset, or with `bestEffort`, it is
 * left out instead, with one warning in the life of the process.
 */
function checkForNode(profile: Profile, bestEffort: boolean): void {
  const missing = (Object.keys(profile) as OptionName[]).filter(
    // Every socket begins without a user timeout, and without the native core nothing here sets one.
    (name) => !nodeCan(name) && !(name === 'userTimeout' && profile.userTimeout === 0),
  )
  const [field] = missing
  if (field === undefined) return
  if (!bestEffort) {
    throw new DeadpeerError(
      'ERR_UNSUPPORTED_OPTION',
      `${field} (${optionTable[field].constant}) needs the native core: ${missingReason()}. ` +
        "Node's own setKeepAlive cannot set it. Pass { bestEffort: true } to leave it out. Nothing was changed.",
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

/** Tunes with Node's own `setKeepAlive`, without the native core. Descriptors are refused, and a server's connections are tuned one by one. */
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
  if (typeof target !== 'object' || target === null) throw notATarget(target)
  if (target instanceof net.Socket && target.destroyed) throw noDescriptor(target)
  checkForNode(profile, bestEffort || isPreset(wanted))
  if (target instanceof net.Socket) tuneConnection(target, profile)
  else if (isAgent(target)) tuneAgent(target, profile, writer)
  else if (isServer(target)) tuneServers(target, profile)
  else tuneHolder(target, profile, writer)
}

const writer: TuningWriter<Profile> = {
  connection: tuneConnection,
  merge: (earlier, later) => ({ ...earlier, ...later }),
}

function tuneServers(target: ServerTarget, profile: Profile): void {
  for (const server of serversOf(target)!) tuneServer(server, profile)
  onFurtherServer(target, (server) => tuneServer(server, profile))
  if (isWithoutServer(target)) tuneWebSockets(target, profile, writer)
}

function tuneServer(server: net.Server, profile: Profile): void {
  const kept = keepTuning(server, profile, writer)
  if (kept) onAccepted(server, kept.tuneOrDestroy)
}

/** Tunes one socket. If it is not connected yet, Node applies the setting once it is. */
function tuneConnection(socket: net.Socket, { enable, initialDelay, interval, count }: Profile): void {
  if (socket.destroyed) throw noDescriptor(socket)
  if (enable === undefined) return
  const connection = unwrap(socket)
  // @types/node has only the older signature.
  const args = nodeSetsAllThree()
    ? [{ enable, ...defined({ initialDelay, interval, count }) }]
    : [enable, initialDelay ?? 0]
  Reflect.apply(connection.setKeepAlive, connection, args)
}

function defined(values: object): object {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
}

import { type Profile, profiles } from '../../../index.js'
import { deafHopOf, shortestMemory } from '../../../path/hop-findings.js'
import { hops as catalogue, type HopName, type MeasuredPath, type OwnHop, plan } from '../../../path/index.js'
import { judgeConnection } from '../../../path/judge.js'
import { isMeasured } from '../../../path/measured-path.js'
import { resolvePath } from '../../../path/resolve.js'
import { timingFor, userTimeoutWithoutProbes } from '../../../path/timing.js'
import type { Connection, Selection } from '../../lib/selection.js'

/** A path as the user typed it. */
export type TypedPath = readonly (HopName | OwnHop | MeasuredPath)[]

/** The commands that `doctor` prints for the user to paste. Pure. */
export interface Remedies {
  /** Sets a profile that fits the path. */
  tune(connections: readonly Connection[]): string
  /** Turns keepalive off, and sets a userTimeout for data in flight. */
  keepaliveOff(connections: readonly Connection[]): string
  /** Probes the peers. On a path that does not acknowledge all probes: lists the connections. */
  probe(connections: readonly Connection[]): string
  /** Probes the peers, and ends the connections whose peer does not respond. On a path that does not acknowledge all probes: lists the connections. */
  probeAndKill(connections: readonly Connection[]): string
  /** Lists the connections by their state: only the program can close its descriptors. */
  list(connections: readonly Connection[]): string
  /** Shows everything about one descriptor. */
  inspect(pid: number, fd: number): string
  /** Shows the settings of a hop, and the profile for it. */
  hop(name: string): string
}

/**
 * @param all the connections that were examined. A command includes a port if it must leave other connections of the process alone.
 * @param selection the selection that the user gave.
 * @param deadpeer the command that started this program.
 */
export function remediesFor(
  all: readonly Connection[],
  selection: Selection,
  path: TypedPath,
  deadpeer = callOf(process.env),
): Remedies {
  const hops = resolvePath(path)
  const isDeaf = deafHopOf(hops) !== undefined
  const off = `--off --user-timeout ${timeWords(userTimeoutWithoutProbes(timingFor(shortestMemory(hops))))}`
  const profile = isDeaf ? off : profileWords(path)
  const which = (connections: readonly Connection[]) => selectionWords(connections, all, selection)
  const list = (connections: readonly Connection[]) =>
    `${deadpeer} ls ${which(connections)} --state ${connections[0]!.record.state}`
  const probe = (connections: readonly Connection[]) => `${deadpeer} probe ${which(connections)}`
  return {
    tune: (connections) => `${deadpeer} tune ${which(connections)} ${profile}`,
    keepaliveOff: (connections) => `${deadpeer} tune ${which(connections)} ${off}`,
    probe: isDeaf ? list : probe,
    probeAndKill: isDeaf ? list : (connections) => `${probe(connections)} --kill`,
    list,
    inspect: (pid, fd) => `${deadpeer} inspect ${pid}:${fd}`,
    hop(name) {
      const typed = path.find((each) => nameOf(each) === name)
      if (Object.hasOwn(catalogue, name) || typed === undefined) return `${deadpeer} hops ${name}`
      return `${deadpeer} plan --hop ${hopWords(typed)}`
    },
  }
}

/** The command that started this program, with npx or sudo, so that the printed command works as well. */
function callOf({ SUDO_UID, npm_command }: NodeJS.ProcessEnv): string {
  return `${SUDO_UID === undefined ? '' : 'sudo '}${npm_command === 'exec' ? 'npx ' : ''}deadpeer`
}

/** The preset `cloud`, or a planned profile if `cloud` probes too late for the path. */
function profileWords(path: TypedPath): string {
  const found = judgeConnection(profiles.cloud, resolvePath(path))
  if (!found.some(({ code }) => code.startsWith('forgets-'))) return '--profile cloud'
  const { initialDelay, interval, count, userTimeout }: Profile = plan({ path }).profile
  return [
    `--idle ${timeWords(initialDelay!)} --interval ${timeWords(interval!)}`,
    `--count ${count} --user-timeout ${timeWords(userTimeout!)}`,
  ].join(' ')
}

/** In the syntax of the command line. */
function timeWords(ms: number): string {
  if (ms === Number.POSITIVE_INFINITY) return 'never'
  return ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`
}

function nameOf(hop: TypedPath[number]): string {
  return typeof hop === 'string' ? hop : hop.name
}

function hopWords(hop: TypedPath[number]): string {
  if (typeof hop === 'string') return hop
  if (isMeasured(hop)) {
    const { idleLimit, name, http } = hop
    const time = idleLimit ? timeWords(idleLimit.atLeast) : 'never'
    return `${quoted(name)}=${time}${http ? '@7' : ''}`
  }
  const { name, idleTimeout, upstreamTimeout, layer } = hop
  const upstream = upstreamTimeout === undefined ? '' : `/${timeWords(upstreamTimeout)}`
  return `${quoted(name)}=${timeWords(idleTimeout)}${upstream}${layer === undefined ? '' : `@${layer}`}`
}

function quoted(word: string): string {
  return /^[\w.-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

/** `--pid` and `--port` for these connections and, if a port distinguishes them, for no other connection of their process. */
function selectionWords(
  connections: readonly Connection[],
  all: readonly Connection[],
  { port, prefix }: Selection,
): string {
  const pid = connections[0]?.owners[0]?.pid
  const meant = new Set(connections)
  const others = all.filter((each) => each.owners[0]?.pid === pid && !meant.has(each))
  const isAll = pid !== undefined && others.length === 0
  const only = port ?? (isAll ? undefined : portOf(connections, others))
  return [
    ...(prefix === undefined ? [] : [prefix]),
    ...(pid === undefined ? [] : [`--pid ${pid}`]),
    ...(only === undefined ? [] : [`--port ${only}`]),
  ].join(' ')
}

/** A port of either end that all of these connections have, and no other connection has. */
function portOf(connections: readonly Connection[], others: readonly Connection[]): number | undefined {
  const [first, ...rest] = connections.map(portsOf)
  const taken = new Set(others.flatMap(portsOf))
  const shared = first?.filter((port) => rest.every((ports) => ports.includes(port))) ?? []
  return shared.find((port) => !taken.has(port)) ?? (connections[0]?.owners[0] ? undefined : shared[0])
}

function portsOf({ record }: Connection): number[] {
  return [record.local.port, record.remote.port]
}

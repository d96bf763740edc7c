import { InvalidTypeError, OutOfRangeError } from '../errors.js'
import { addressBytes } from '../kernel/address.js'
import { processId } from '../kernel/network-namespace.js'
import {
  type EndCondition,
  type SocketFamily,
  type SocketQuery,
  type SocketState,
  socketStates,
} from '../kernel/sock-diag.js'
import {
  abortSignal,
  anything,
  checkOptions,
  describe,
  type Options,
  trueOrFalse,
  whole,
} from '../options/check.js'
import { nearestOnly } from '../options/nearest.js'
import { ports } from '../options/ranges.js'

/**
 * An address, or an address prefix such as `'10.0.0.0/8'` or `'2001:db8::/32'`. Bits after the prefix are ignored. An IPv4 prefix also matches
 * IPv6 sockets with IPv4 addresses (`::ffff:10.0.0.1`).
 */
export type Prefix = string

/** Which sockets to list. A field that is left out matches every socket. The kernel filters. */
export interface SocketFilter {
  /** Address family of the socket: `'ipv4'` or `'ipv6'`. Default: both. */
  family?: SocketFamily
  /** States to list, at least one. Default: all. */
  states?: readonly SocketState[]
  /** Local port: 1 … 65 535. */
  localPort?: number
  /** Remote port: 1 … 65 535. */
  remotePort?: number
  /** Local address or prefix. */
  local?: Prefix
  /** Remote address or prefix. */
  remote?: Prefix
  /** Whether to list tcp_info too: 280 more bytes per socket. Default: `false`. */
  info?: boolean
  /**
   * The id of a process in the network namespace to list. It does not filter by that process. A namespace other than the caller's needs
   * CAP_SYS_ADMIN. Default: the caller's namespace.
   */
  pid?: number | undefined
  /** Aborts the call: the promise rejects with the signal's reason. */
  signal?: AbortSignal
}

const families: readonly SocketFamily[] = ['ipv4', 'ipv6']

const port = whole(ports)

const filterFields: Options<SocketFilter> = {
  of: 'a filter',
  noun: 'field',
  called: 'A filter',
  example: "{ states: ['established'] }",
  field: 'filter',
  checks: {
    family: checkFamily,
    states: checkStates,
    localPort: port,
    remotePort: port,
    local: anything,
    remote: anything,
    info: trueOrFalse,
    pid: processId,
    signal: abortSignal,
  },
  // Names in ss, the kernel and Node.
  otherNames: {
    sport: 'localPort',
    dport: 'remotePort',
    src: 'local',
    localaddress: 'local',
    dst: 'remote',
    remoteaddress: 'remote',
    peer: 'remote',
    tcpinfo: 'info',
    abortsignal: 'signal',
  },
}

/**
 * Checks a filter and translates it for the kernel.
 *
 * @throws {@link InvalidTypeError} for an unknown field or a value of the wrong type.
 * @throws {@link OutOfRangeError} for a value or a combination that no socket can have.
 */
export function checkFilter(filter: unknown): SocketQuery & { signal: AbortSignal | undefined } {
  const {
    pid,
    family,
    states,
    localPort,
    remotePort,
    local,
    remote,
    info = false,
    signal,
  } = checkOptions(filter, filterFields)
  const ends = {
    local: { port: localPort, prefix: checkPrefix('local', local) },
    remote: { port: remotePort, prefix: checkPrefix('remote', remote) },
  }
  return {
    pid,
    families: familiesOf(family, ends),
    states: states ?? socketStates,
    info,
    signal,
    ...ends,
  }
}

function wrongType(field: keyof SocketFilter, value: unknown, wanted: string): InvalidTypeError {
  return new InvalidTypeError(`${field} must be ${wanted}; got ${describe(value)}.`, { field })
}

function outOfRange(field: keyof SocketFilter, message: string): OutOfRangeError {
  return new OutOfRangeError(message, { field })
}

function checkFamily(family: unknown): void {
  const wanted = families.map((name) => `'${name}'`).join(' or ')
  if (typeof family !== 'string') throw wrongType('family', family, wanted)
  if (!families.includes(family as SocketFamily)) {
    throw outOfRange('family', `family must be ${wanted}; got '${family}'.`)
  }
}

function checkStates(states: unknown): void {
  if (!Array.isArray(states)) throw wrongType('states', states, 'an array of states')
  if (states.length === 0)
    throw outOfRange('states', 'states must have at least one state; got an empty array.')
  for (const state of states) {
    if (typeof state !== 'string') throw wrongType('states', state, 'an array of states')
    if (socketStates.includes(state as SocketState)) continue
    const meant = nearestOnly(state, socketStates)
    const hint =
      meant.length > 0
        ? `Did you mean '${meant.join("' or '")}'?`
        : `The states are ${socketStates.map((name) => `'${name}'`).join(', ')}.`
    throw outOfRange('states', `Unknown socket state '${state}'. ${hint}`)
  }
}

function checkPrefix(field: 'local' | 'remote', prefix: unknown): EndCondition['prefix'] {
  if (prefix === undefined) return undefined
  const wanted = "an address or a prefix such as '10.0.0.0/8' or '2001:db8::/32'"
  if (typeof prefix !== 'string') throw wrongType(field, prefix, wanted)
  const [, address = '', bits] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(prefix) ?? []
  const bytes = addressBytes(address)
  if (bytes === undefined) {
    const why = prefix.includes('%') ? ' A zone is not allowed here.' : ''
    throw outOfRange(field, `${field} must be ${wanted}; got '${prefix}'.${why}`)
  }
  const most = 8 * bytes.length
  const length = bits === undefined ? most : Number(bits)
  if (length > most) {
    const family = most === 32 ? 'IPv4' : 'IPv6'
    throw outOfRange(
      field,
      `The prefix length of ${field} must be 0 to ${most} for ${family}; got '${prefix}'.`,
    )
  }
  return { bytes, length }
}

function familyName(family: SocketFamily): string {
  return family === 'ipv4' ? 'IPv4' : 'IPv6'
}

interface Ends {
  readonly local: EndCondition
  readonly remote: EndCondition
}

/** The families to list. Throws if no socket can match the filter. */
function familiesOf(family: SocketFamily | undefined, ends: Ends): readonly SocketFamily[] {
  const ofPrefix = (end: keyof Ends) => {
    const { prefix } = ends[end]
    return prefix && (prefix.bytes.length === 4 ? 'ipv4' : 'ipv6')
  }
  const local = ofPrefix('local')
  const remote = ofPrefix('remote')
  if (local && remote && local !== remote) {
    throw outOfRange(
      'remote',
      `local and remote must be of the same family; got ${familyName(local)} and ${familyName(remote)}.`,
    )
  }
  const prefixFamily = local ?? remote
  if (family && prefixFamily && family !== prefixFamily) {
    const hint =
      family === 'ipv6'
        ? " For IPv6 sockets with IPv4 addresses, use a prefix such as '::ffff:10.0.0.0/104'."
        : ''
    throw outOfRange(
      'family',
      `family must be '${prefixFamily}', because the prefix is ${familyName(prefixFamily)}; got '${family}'.${hint}`,
    )
  }
  if (family) return [family]
  return prefixFamily === 'ipv6' ? ['ipv6'] : families
}

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
 * An address with the number of its bits that count, such as `'10.0.0.0/8'` or `'2001:db8::/32'`; an address alone counts
 * in full. Bits beyond are ignored. One of IPv4 also finds sockets of IPv6 that talk IPv4 (`::ffff:10.0.0.1`).
 */
export type Prefix = string

/** Which sockets to list. A field left out does not filter. The kernel does the filtering. */
export interface SocketFilter {
  /** Family of the socket: `'ipv4'` or `'ipv6'`. */
  family?: SocketFamily
  /** States to list, at least one. Default: all. */
  states?: readonly SocketState[]
  /** Local port: 1 … 65 535. */
  localPort?: number
  /** Remote port: 1 … 65 535. */
  remotePort?: number
  /** Local address. */
  local?: Prefix
  /** Remote address. */
  remote?: Prefix
  /** Whether to list tcp_info as well: 280 bytes more a socket. Default: `false`. */
  info?: boolean
  /**
   * A process in the network namespace to list: that namespace's sockets, whichever process has them open. For a namespace other than the
   * caller's it takes CAP_SYS_ADMIN. Default: the caller's namespace.
   */
  pid?: number | undefined
  /** Aborts the listing: the promise is rejected with the signal's reason. */
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
  // ss, the kernel, Node.
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
 * @throws {@link OutOfRangeError} for a value that no socket could have, or values that contradict each other.
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
  if (states.length === 0) throw outOfRange('states', 'states is empty: no socket could be listed.')
  for (const state of states) {
    if (typeof state !== 'string') throw wrongType('states', state, 'an array of states')
    if (socketStates.includes(state as SocketState)) continue
    const meant = nearestOnly(state, socketStates)
    const hint =
      meant.length > 0 ? `Did you mean '${meant.join("' or '")}'?` : `There are: ${socketStates.join(', ')}.`
    throw outOfRange('states', `'${state}' is no state of a socket. ${hint}`)
  }
}

function checkPrefix(field: 'local' | 'remote', prefix: unknown): EndCondition['prefix'] {
  if (prefix === undefined) return undefined
  const wanted = "an address or a prefix such as '10.0.0.0/8' or '2001:db8::/32'"
  if (typeof prefix !== 'string') throw wrongType(field, prefix, wanted)
  const [, address = '', bits] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(prefix) ?? []
  const bytes = addressBytes(address)
  if (bytes === undefined) {
    const why = prefix.includes('%') ? ' An address cannot have a zone here.' : ''
    throw outOfRange(field, `${field} must be ${wanted}; got '${prefix}'.${why}`)
  }
  const most = 8 * bytes.length
  const length = bits === undefined ? most : Number(bits)
  if (length > most) {
    throw outOfRange(field, `${field} is '${prefix}'; an address of that family has ${most} bits.`)
  }
  return { bytes, length }
}

interface Ends {
  readonly local: EndCondition
  readonly remote: EndCondition
}

/** The families to list. A filter that no socket can match is refused. */
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
      `local is a prefix of ${local}, and remote one of ${remote}: no socket has both.`,
    )
  }
  const prefixFamily = local ?? remote
  if (family && prefixFamily && family !== prefixFamily) {
    const hint = family === 'ipv6' ? " For sockets of IPv6 that talk IPv4, write '::ffff:10.0.0.0/104'." : ''
    throw outOfRange('family', `family is '${family}', and the prefix is one of ${prefixFamily}.${hint}`)
  }
  if (family) return [family]
  return prefixFamily === 'ipv6' ? ['ipv6'] : families
}

import net from 'node:net'
import type { Destination } from '../connection/record.js'
import { InvalidTypeError } from '../errors.js'

export interface Rule<Value> {
  /** `undefined`: it depends on the address, which is not known. */
  readonly matches: (destination: Destination) => boolean | undefined
  readonly value: Value
}

/** `where=what`, separated by commas; `what` may be JSON without braces inside. */
const oneRule = /\s*([^=,\s]+)\s*=\s*(\{[^}]*\}|[^,\s]+)\s*(?:,|$)/y

/**
 * Reads rules such as `5432=datacenter, *.internal=lan, 10.0.0.0/8:6379=off`.
 *
 * @param make parses the text after the `=`. Its errors are passed on.
 * @throws {@link InvalidTypeError} if the text is not a rule.
 */
export function parseRules<Value>(text: string, make: (what: string) => Value): Rule<Value>[] {
  const rules: Rule<Value>[] = []
  oneRule.lastIndex = 0
  while (oneRule.lastIndex < text.length) {
    const rest = text.slice(oneRule.lastIndex)
    const [whole, where, what] = oneRule.exec(text) ?? []
    if (whole === undefined) {
      throw new InvalidTypeError(
        `'${rest.trim()}' is no rule; a rule is a port or a host, =, and a profile: 5432=datacenter,*.internal=lan.`,
      )
    }
    rules.push({ matches: parseWhere(where!), value: make(what!) })
  }
  return rules
}

/** The first rule that matches. */
export function firstMatch<Value>(
  rules: readonly Rule<Value>[],
  destination: Destination,
): Rule<Value> | undefined {
  return rules.find(({ matches }) => matches(destination))
}

/** The first rule that matches all addresses; `'depends'` if an earlier rule matches only some. */
export function ruleForAll<Value>(
  rules: readonly Rule<Value>[],
  destination: Omit<Destination, 'address'>,
): Rule<Value> | 'depends' | undefined {
  for (const rule of rules) {
    const matches = rule.matches(destination)
    if (matches === undefined) return 'depends'
    if (matches) return rule
  }
  return undefined
}

function parseWhere(where: string): Rule<unknown>['matches'] {
  if (/^\d+$/.test(where)) {
    const wanted = parsePort(where, where)
    return ({ port }) => port === wanted
  }
  const [host, port] = splitPort(where)
  const matchesHost = parseHost(host, where)
  if (port === undefined) return matchesHost
  const wanted = parsePort(port, where)
  return (destination) => destination.port === wanted && matchesHost(destination)
}

/** `host:port`, `[::1]:port`; a bare IPv6 address has no port. */
function splitPort(where: string): [host: string, port?: string] {
  const bracketed = /^\[([^\]]*)\](\/\d+)?(?::(.*))?$/.exec(where)
  if (bracketed) {
    const host = bracketed[1]! + (bracketed[2] ?? '')
    return bracketed[3] === undefined ? [host] : [host, bracketed[3]]
  }
  const [host = '', port, ...more] = where.split(':')
  return more.length > 0 || port === undefined ? [where] : [host, port]
}

function parsePort(text: string, where: string): number {
  const port = Number(text)
  if (/^\d+$/.test(text) && port >= 1 && port <= 65_535) return port
  throw new InvalidTypeError(`'${where}' has no port from 1 to 65535.`)
}

function parseHost(host: string, where: string): Rule<unknown>['matches'] {
  const [base = '', length] = host.split('/')
  const version = net.isIP(base)
  if (version !== 0) {
    const list = new net.BlockList()
    const family = version === 4 ? 'ipv4' : 'ipv6'
    try {
      if (length === undefined) list.addAddress(base, family)
      else list.addSubnet(base, /^\d+$/.test(length) ? Number(length) : -1, family)
    } catch {
      throw new InvalidTypeError(`'${where}' is not an address prefix such as 10.0.0.0/8 or fd00::/8.`)
    }
    return ({ address }) => (address === undefined ? undefined : contains(list, address))
  }
  const name = host.toLowerCase()
  if (!/^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(name)) {
    throw new InvalidTypeError(`'${where}' is neither a port, a host name, *.name, nor an address.`)
  }
  if (name.startsWith('*.')) return ({ host }) => host?.toLowerCase().endsWith(name.slice(1)) ?? false
  return ({ host }) => host?.toLowerCase() === name
}

function contains(list: net.BlockList, address: string): boolean {
  // A dual-stack socket shows its IPv4 peers like this.
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
  return list.check(plain, net.isIPv4(plain) ? 'ipv4' : 'ipv6')
}

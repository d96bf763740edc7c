import net from 'node:net'
import type { Destination } from '../connection/record.js'
import { InvalidTypeError } from '../errors.js'

export interface Rule<Value> {
  /** `undefined`: it depends on the address, which is not known yet. */
  readonly matches: (destination: Destination) => boolean | undefined
  readonly value: Value
}

/** `where=what`, separated by commas. `what` may be a JSON object without nested braces. */
const oneRule = /\s*([^=,\s]+)\s*=\s*(\{[^}]*\}|[^,\s]+)\s*(?:,|$)/y

/**
 * Parses rules such as `5432=datacenter, *.internal=lan, 10.0.0.0/8:6379=off`.
 *
 * @param make parses the text after the `=`. Its errors are not caught.
 * @throws {@link InvalidTypeError} for a malformed rule.
 */
export function parseRules<Value>(text: string, make: (what: string) => Value): Rule<Value>[] {
  const rules: Rule<Value>[] = []
  oneRule.lastIndex = 0
  while (oneRule.lastIndex < text.length) {
    const rest = text.slice(oneRule.lastIndex)
    const [whole, where, what] = oneRule.exec(text) ?? []
    if (whole === undefined) {
      throw new InvalidTypeError(
        `A rule must be <where>=<profile or off>, where <where> is a port, a host, an address range, or host:port; got '${rest.trim()}'. Separate rules with commas: 5432=datacenter,*.internal=lan`,
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

/** The first rule that matches for all addresses. `'depends'` if an earlier rule depends on the address. */
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

/** `host:port` or `[::1]:port`. A bare IPv6 address has no port. */
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
  throw new InvalidTypeError(`The port of a rule must be 1 to 65535; got '${where}'.`)
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
      throw new InvalidTypeError(
        `The host of a rule must be an address prefix such as 10.0.0.0/8 or fd00::/8; got '${where}'.`,
      )
    }
    return ({ address }) => (address === undefined ? undefined : contains(list, address))
  }
  const name = host.toLowerCase()
  if (!/^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(name)) {
    throw new InvalidTypeError(
      `A rule must start with a port, a host name, *.name or an address; got '${where}'.`,
    )
  }
  if (name.startsWith('*.')) return ({ host }) => host?.toLowerCase().endsWith(name.slice(1)) ?? false
  return ({ host }) => host?.toLowerCase() === name
}

function contains(list: net.BlockList, address: string): boolean {
  // A dual-stack socket reports IPv4 peers as ::ffff:192.0.2.1.
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
  return list.check(plain, net.isIPv4(plain) ? 'ipv4' : 'ipv6')
}

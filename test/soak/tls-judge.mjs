import { isLate, NOTED_WITHIN } from './judge.mjs'
import { SILENT_FOR, tlsFates } from './tls-fates.mjs'

// How the TLS, HTTPS and HTTP/2 connections were ended beside what was reported of each end. Pure: the entries of all journals go in.

/** @typedef {import('./judge.mjs').Entry} Entry */

/** What an agent of deadpeer/http counts an orderly close as. */
const ORDERLY = new Set(['closedByPeer', 'closedByUs'])

/**
 * @param {Entry[]} entries in any order
 * @param {Record<string, number>} raisedByNode the errors of orderly closed connections in a run without watchers: see `errorsOf`
 * @param rules
 */
export function judgeTls(entries, raisedByNode = {}, rules = tlsFates) {
  const { connections, finishedAt } = connectionsOf(entries)
  const starved = entries.filter(({ event }) => event === 'starved')
  const faults = []
  const told = {}
  const counts = {}
  const errors = {}
  let excused = 0
  let filled = 0
  const silent = silentServers(connections)
  for (const connection of connections.values()) {
    if (hasMetSilentServer(connection, silent)) {
      excused++
      continue
    }
    if (hasFilledWindow(connection)) {
      filled++
      continue
    }
    settle(connection)
    const { id, fate, ends } = connection
    const [some = {}] = [...ends.values()]
    const about = { id, fate: fate?.name, kind: some.kind, group: some.group, address: some.address }
    if (fate) counts[`${fate.name}, ${some.kind}`] = (counts[`${fate.name}, ${some.kind}`] ?? 0) + 1
    const add = (fault, more) => faults.push({ ...about, fault, ...more })
    if (![...ends.values()].every(({ kind }) => kind)) {
      add('unknown', { events: [...ends.values()] })
      continue
    }
    const isOrderly = fate !== undefined && rules[fate.name].isOrderly === true
    const { client, server } = Object.fromEntries(ends)
    if (isOrderly && server?.served !== undefined && client.answered !== server.served) add('lost answer')
    for (const [side, end] of ends) {
      const rule = ruleFor(fate, side, end, rules)
      for (const error of end.errors) {
        if (!isOrderly && fate && error.at >= fate.at - NOTED_WITHIN) continue
        const key = `${some.kind}, ${fate?.name}: ${error.detail}`
        errors[key] = (errors[key] ?? 0) + 1
        if (!raisedByNode[key]) add('false error', { side, error: error.detail })
      }
      const fault = faultOf(fate, rule, end, starvedOf(id, side, isOrderly, starved), finishedAt)
      if (fault) add(fault, { side, said: end.said, counted: end.counted })
      const said = end.said.find(({ word }) => word === 'dead')
      const at = said?.at ?? (isOrderly ? end.closedAt : undefined)
      if (!fate || at === undefined || !rule.within || !end.isWatched) continue
      const name = `${isOrderly ? 'orderly' : fate.name}, ${some.kind}${isOrderly ? '' : `, ${some.group}`}`
      told[name] ??= { within: 0, times: [] }
      told[name].within = Math.max(told[name].within, rule.within)
      told[name].times.push(at - fate.at)
    }
  }
  return { connections: connections.size, fates: counts, told, faults, errors, excused, filled }
}

/** When each server end fell silent, by the ports of its connection: `<client> <server>`. */
function silentServers(connections) {
  const silent = new Map()
  for (const { fate, ends } of connections.values()) {
    const ports = ends.get('client')?.ports
    if (ports && fate?.name.startsWith('server silent'))
      silent.set(ports, [...(silent.get(ports) ?? []), fate.at])
  }
  return silent
}

/**
 * A client that has given a silent server up may get the same port for its next connection. The server's end of the old connection, which
 * still exists, then drops the SYNs of the new one.
 */
function hasMetSilentServer({ ends }, silent) {
  const { ports, portsAt, errors = [] } = ends.get('client') ?? {}
  if (ends.has('server') || !errors.every(({ detail }) => detail.startsWith('ETIMEDOUT'))) return false
  return (silent.get(ports) ?? []).some((at) => at < portsAt && portsAt < at + SILENT_FOR)
}

/**
 * The server sends a paused client more than Node keeps. Sometimes the client's window closes before the end of that, and the server's own
 * `userTimeout` ends the connection, as it ends any peer that does not read for so long. So no fate was ever noted.
 */
function hasFilledWindow({ fate, filledAt, ends }) {
  const { errors = [] } = ends.get('server') ?? {}
  const isByUserTimeout = errors.length > 0 && errors.every(({ detail }) => detail.startsWith('ETIMEDOUT'))
  return !fate && filledAt !== undefined && isByUserTimeout
}

/** The errors of orderly closed connections, each with how often it came: `<kind>, <fate>: <code> <name>`. */
export function errorsOf(entries) {
  return judgeTls(entries).errors
}

/** A death is told by the process of that end. To an orderly close both sides contribute, by timers of their own. */
function starvedOf(id, side, isOrderly, starved) {
  if (isOrderly) return starved
  const isSubject = id.startsWith('out.') === (side === 'client')
  return starved.filter((one) => (one.id === '*') === isSubject)
}

/** What must become of one end. */
function ruleFor(fate, side, end, rules) {
  if (!fate) return {}
  const { by, isOrderly, within, ...groups } = rules[fate.name]
  // It has reset the connection, or hears nothing: whatever it says is not about the other.
  if (!isOrderly) {
    if (by === side) return { isOver: true }
    const rule = groups[end.group]
    // Data and a reset that are read in one turn of the event loop are data and an end to libuv: Node closes without an error then. A
    // client's last data may be unread, too, where it sends an HTTP/2 WINDOW_UPDATE after the answer.
    const isUnread = side === 'client' ? !(end.answeredAt < fate.at) : end.kind === 'http2'
    return { ...rule, orClosing: isUnread && !fate.name.endsWith('unread') && rule.dead.includes('reset') }
  }
  // The end that read the FIN first is told of it. HTTP may be done with the connection before that.
  return { isOrderly, within, closing: by !== side && end.kind === 'tls' }
}

function faultOf(fate, rule, { isWatched, said, closedAt, counted }, starved, finishedAt) {
  const deaths = said.filter(({ word }) => word === 'dead')
  const closings = said.filter(({ word }) => word === 'closing')
  const [death] = deaths
  const [closing] = closings
  if (deaths.length > 1 || closings.length > 1) return 'said twice'
  if (!fate) {
    if (death) return 'false death'
    if (closing) return 'false closing'
    return closedAt === undefined ? undefined : 'closed by nobody'
  }
  if (rule.isOver) return death && death.at < fate.at - NOTED_WITHIN ? 'false death' : undefined
  if (death && (!rule.dead || death.at < fate.at - NOTED_WITHIN)) return 'false death'
  if (closing && (!(rule.isOrderly || rule.orClosing) || closing.at < fate.at - NOTED_WITHIN))
    return 'false closing'
  // What is missing at the end of the soak may still have come in time.
  const isDue = isLate(finishedAt, fate.at, rule.within, starved)
  if (rule.dead) {
    if (!isWatched) return undefined
    if (!death) return isDue && !(rule.orClosing && closing) ? 'lost death' : undefined
    if (!rule.dead.includes(death.reason)) return 'wrong reason'
    return isLate(death.at, fate.at, rule.within, starved) ? 'late' : undefined
  }
  if (closedAt === undefined) return isDue ? 'lost close' : undefined
  if (isWatched && rule.closing && !closing) return 'lost closing'
  if (counted !== undefined && !ORDERLY.has(counted)) return 'wrong count'
  return isLate(closedAt, fate.at, rule.within, starved) ? 'late' : undefined
}

/** What was in flight counts from when it was sent. Where that came before the silence, there was nothing in flight. */
function settle({ fate, wroteAt, ends }) {
  if (fate?.name !== 'server silent in flight') return
  const death = ends.get('client')?.said.find(({ word }) => word === 'dead')
  if (wroteAt === undefined || wroteAt < fate.at || wroteAt > death?.at - NOTED_WITHIN)
    fate.name = 'server silent'
  else fate.at = wroteAt
}

function connectionsOf(entries) {
  const connections = new Map()
  let finishedAt = Number.POSITIVE_INFINITY
  for (const { at, id, event, detail } of entries.toSorted((a, b) => a.at - b.at)) {
    if (event === 'finished') finishedAt = Math.min(finishedAt, at)
    if (at >= finishedAt || !isTls(id)) continue
    const [name, side] = id.split('/')
    if (!connections.has(name)) connections.set(name, { id: name, ends: new Map() })
    const connection = connections.get(name)
    if (event === 'fate') connection.fate ??= { name: detail, at }
    else if (event === 'wrote') connection.wroteAt = at
    else if (event === 'filled') connection.filledAt = at
    if (side === undefined) continue
    if (!connection.ends.has(side)) connection.ends.set(side, { said: [], errors: [] })
    note(connection.ends.get(side), at, event, detail)
  }
  return { connections, finishedAt }
}

/** Whether an entry is of a connection that is judged here. */
export function isTls(id) {
  return /^(in|out)\.|\//.test(id)
}

function note(end, at, event, detail) {
  if (event === 'opened') {
    const [group, kind, address, isWatched] = detail.split(' ')
    Object.assign(end, { group, kind, address, isWatched: isWatched === 'true' })
  } else if (event === 'dead') {
    const [reason, detectedBy] = detail.split(' ')
    end.said.push({ word: 'dead', at, reason, detectedBy })
  } else if (event === 'closing') end.said.push({ word: 'closing', at })
  else if (event === 'error') end.errors.push({ at, detail })
  else if (event === 'closed') end.closedAt = at
  else if (event === 'counted') end.counted = detail
  else if (event === 'ports') Object.assign(end, { ports: detail, portsAt: at })
  else if (event === 'served') end.served = Number(detail)
  else if (event === 'answered') Object.assign(end, { answered: Number(detail), answeredAt: at })
}

import { BRIEF, fates } from './fates.mjs'

// What was done to connections beside what was said of them. Pure: the entries of all journals go in.

/** @typedef {{ at: number, id: string, event: string, detail: string }} Entry */

/** So much may lie between a deed and the note of it, in ms: a write to a string, and the scheduler. */
export const NOTED_WITHIN = 50

/** The probe before the first that was swallowed may have been lost as well: so long before, in ms, without a heartbeat and with one. */
const LAST_HEARD_BEFORE = 6_000
const lastHeardBefore = (every) => (every ? 1.2 * every : LAST_HEARD_BEFORE)

/**
 * @param {Entry[]} entries in any order
 * @param {typeof fates} rules
 */
export function judge(entries, rules = fates) {
  const histories = historiesOf(entries)
  const starved = entries.filter(({ id, event }) => id === '*' && event === 'starved')
  const dropped = entries.filter(({ event }) => event === 'dropped').map(({ at }) => at)
  const faults = []
  const told = {}
  const counts = {}
  let excused = 0
  let delayed = 0
  const doubts = { suspect: 0, ofHealthy: 0 }
  for (const history of histories.values()) {
    const { id, server, fate } = history
    if (server === undefined) {
      if (fate || history.said.length > 0)
        faults.push({ id, fault: 'unknown', fate: fate?.name, said: history.said })
      continue
    }
    for (const { at } of history.doubts.filter(({ word }) => word === 'suspect')) {
      doubts.suspect++
      if (isHealthy(history, at)) doubts.ofHealthy++
    }
    if (!fate && history.swallowed > 0 && isLossExcessive(history, dropped)) {
      excused++
      continue
    }
    settle(history)
    const rule = fate ? ruleOf(history, rules) : {}
    const fault = faultOf(history, rule, starved)
    if (fault) faults.push({ id, server, every: history.every, fault, fate: fate?.name, said: history.said })
    if (!fate) continue
    counts[fate.name] = (counts[fate.name] ?? 0) + 1
    const [said] = history.said.filter(({ word }) => word === 'dead' || word === 'closing').slice(-1)
    if (said) {
      const key = `${fate.name}, ${server}`
      told[key] ??= { within: rule.within, times: [] }
      told[key].within = Math.max(told[key].within, rule.within)
      told[key].times.push(said.at - fate.at)
      if (!fault && said.at - fate.at > rule.within) delayed++
    }
  }
  return { connections: histories.size, fates: counts, told, faults, excused, delayed, doubts }
}

/** Each connection has its own bound where that depends on its heartbeat. */
function ruleOf({ fate, server, every }, rules) {
  const rule = rules[fate.name][server]
  return typeof rule.within === 'function' ? { ...rule, within: rule.within(every) } : rule
}

/** What is wrong with what was said of one connection. */
function faultOf({ fate, halfClosedAt, said, doubts, closedAt }, rule, starved) {
  const deaths = said.filter(({ word }) => word === 'dead')
  const closings = said.filter(({ word }) => word === 'closing')
  if (deaths.length > 1 || closings.length > 1) return 'said twice'
  if (doubts.some(({ word }, i) => word !== ['suspect', 'recover'][i % 2])) return 'doubts out of order'
  const [death] = deaths
  const [closing] = closings
  if (death && (!fate || death.at < fate.at - NOTED_WITHIN)) return 'false death'
  if (closing && (!fate || closing.at < (halfClosedAt ?? fate.at) - NOTED_WITHIN)) return 'false closing'
  if (!fate) return closedAt === undefined ? undefined : 'closed by nobody'
  if (death && !rule.dead) return 'false death'
  if (closing && !rule.closing && !rule.orClosing) return 'false closing'
  if (rule.dead && !death && !(rule.orClosing && closing)) return 'lost death'
  if (rule.closing && !closing) return 'lost closing'
  if (death && !rule.dead.includes(death.reason)) return 'wrong reason'
  const late = [death, closing].some((one) => one && isLate(one.at, fate.at, rule.within, starved))
  return late ? 'late' : undefined
}

/** Where the subject had no processor meanwhile, it may be later by that. */
export function isLate(at, since, within, starved) {
  if (at - since <= within) return false
  const meanwhile = starved.filter((one) => one.at >= since && one.at - Number(one.detail) <= at)
  return at - since > within + meanwhile.reduce((sum, { detail }) => sum + Number(detail), 0)
}

/** Whether more was lost on the way to one than it was to swallow: by itself, being late, or by the machine. */
function isLossExcessive({ server, every, swallowed, deaf, said }, dropped) {
  if (swallowed >= BRIEF.deadlyFrom[server]) return true
  const death = said.find(({ word }) => word === 'dead')
  const since = deaf.at(-1).from - lastHeardBefore(every)
  return death !== undefined && dropped.some((at) => at >= since && at <= death.at)
}

/** What was in flight counts from when it was. Where the subject wrote too soon or too late it was just silent. */
function settle({ fate, wroteAt, said }) {
  if (fate?.name !== 'silent in flight') return
  const death = said.find(({ word }) => word === 'dead')
  if (wroteAt === undefined || wroteAt < fate.at || wroteAt > death?.at - NOTED_WITHIN) fate.name = 'silent'
  else fate.at = wroteAt
}

function isHealthy({ fate, deaf, isLossy }, at) {
  if (isLossy || (fate && at >= fate.at)) return false
  // What was on its way when it began to hear again may be asked once more.
  return !deaf.some(({ from, to }) => at >= from && at <= to + 1_000)
}

function historiesOf(entries) {
  const histories = new Map()
  const of = (id) => {
    let history = histories.get(id)
    if (!history) {
      history = { id, said: [], doubts: [], deaf: [], swallowed: 0, isLossy: false }
      histories.set(id, history)
    }
    return history
  }
  const killed = []
  let finishedAt = Number.POSITIVE_INFINITY
  for (const { at, id, event, detail } of entries.toSorted((a, b) => a.at - b.at)) {
    if (event === 'finished') finishedAt = at
    if (at >= finishedAt || id.startsWith('*')) continue
    if (event === 'killed') {
      killed.push({ serial: id, at })
      continue
    }
    const history = of(id)
    if (event === 'accepted') {
      const [server, every] = detail.split(' ')
      Object.assign(history, { server, every: every && Number(every), acceptedAt: at })
    } else if (event === 'fate') history.fate = { name: detail, at }
    else if (event === 'half-closed') history.halfClosedAt = at
    else if (event === 'deaf') history.deaf.push({ from: at, to: Number.POSITIVE_INFINITY })
    else if (event === 'swallowed') {
      history.deaf.at(-1).to = at
      history.swallowed = Math.max(history.swallowed, Number(detail))
    } else if (event === 'lossy') history.isLossy = true
    else if (event === 'wrote') history.wroteAt = at
    else if (event === 'closed') history.closedAt = at
    else if (event === 'dead') {
      const [reason, detectedBy] = detail.split(' ')
      history.said.push({ word: 'dead', at, reason, detectedBy })
    } else if (event === 'closing') history.said.push({ word: 'closing', at })
    else history.doubts.push({ word: event, at })
  }
  for (const { serial, at } of killed) {
    for (const history of histories.values()) {
      if (history.id.startsWith(`${serial}.`) && !(history.closedAt < at))
        history.fate ??= { name: 'killed', at: Math.max(at, history.acceptedAt) }
    }
  }
  return histories
}

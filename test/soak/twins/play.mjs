import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { buildNetwork, far, tearDown } from '../../netns/fixtures/network.mjs'
import { now } from '../journal.mjs'
import { seeded } from '../random.mjs'
import { drawHeartbeat, drawOutage, drawProbe, drawProfile } from './draw.mjs'
import { judgePair } from './judge.mjs'
import { Path } from './path.mjs'

// One run, in a network namespace of its own: here the process under test and the observer, behind a router the peers.

const { minutes, pairs: count, seed, peerData } = JSON.parse(process.argv[2])
const script = (name) => fileURLToPath(new URL(name, import.meta.url))

/** What is on its way when a path is cut may arrive a little later, and this process be late, ms. */
const UNSURE = 1_000
/** A probe that was sent in an outage may be found unanswered so much later: attempts 510 ms apart, and the last one's timeout. */
const VERDICT_AFTER = 5 * 510 + 600 + UNSURE
/** In which a deferred value is written, and a probe's options are back. */
const SETTLED_AFTER = 3_000

/** So many samples are printed with a fault. */
const HISTORY = 40

/** The observer has sampled a pair, ms. */
const SAMPLED_AFTER = 600

const random = seeded(seed)
const end = now() + minutes * 60_000
const isOver = () => now() >= end

const children = []
const pairs = new Map()
const faults = []
const counts = { pairs: 0, outages: 0, cuts: 0, stops: 0, probes: 0, tunes: 0, heartbeats: 0, verdicts: 0 }
const outcome = {
  died: 0,
  compared: 0,
  excused: 0,
  longestLead: 0,
  longestLag: 0,
  survived: 0,
  unsettled: 0,
  undecided: 0,
}
let opening = 0
let wholePathCutUntil = 0
let stoppedUntil = 0

const { router, remote } = await buildNetwork()
const path = new Path(router)
await path.prepare()

const peers = start('nsenter', ['-n', '-t', String(remote), 'python3', script('peers.py'), far])
await once(createInterface(peers.stdout), 'line')
const observer = start('python3', [script('observer.py')])
const observed = createInterface(observer.stdout)
await once(observed, 'line')
observed.on('line', (line) => hearObserver(JSON.parse(line)))
const subject = fork(script('subject.mjs'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
children.push(subject)
await once(subject, 'message')
subject.on('message', hearSubject)
for (const child of children)
  child.once('exit', (code, signal) => giveUp(new Error(`a helper ended with ${code ?? signal}`)))

try {
  await Promise.all([
    cutWholePath(),
    stopSubject(),
    ...Array.from({ length: count }, async (_, i) => {
      // Not all at once: the queue of connections to be accepted is short.
      await delay(10 * i)
      while (!isOver()) await live()
    }),
  ])
} finally {
  for (const child of children) {
    child.removeAllListeners('exit')
    child.kill('SIGKILL')
  }
  tearDown()
}
if (outcome.compared === 0) faults.push({ fault: 'nothing was compared' })
report()
process.exit(faults.length > 0 ? 1 : 0)

function start(command, args) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(child)
  return child
}

function giveUp(error) {
  console.error(error)
  process.exit(2)
}

function tell(id, name, command = {}) {
  subject.send({ do: name, id, ...command })
}

function tellObserver(id, name, command = {}) {
  observer.stdin.write(`${JSON.stringify({ do: name, id, ...command })}\n`)
}

function tellPeers(act, ports) {
  peers.stdin.write(`${JSON.stringify({ [act]: ports })}\n`)
}

/** One pair, from its opening until one of both has ended or the run is over. */
async function live() {
  const pair = await open()
  await settle(pair)
  while (!isOver() && !pair.hasEnded) {
    await calm(pair)
    if (isOver() || pair.hasEnded) break
    await failPath(pair)
    if (pair.hasEnded || pair.wroteAt !== undefined) break
  }
  await decide(pair)
  await retire(pair)
}

async function open() {
  const id = counts.pairs++
  const own = seeded(Math.floor(random() * 2 ** 32))
  const profile = drawProfile(own)
  const pair = {
    id,
    random: own,
    profile,
    every: 0,
    heartbeat: undefined,
    wroteAt: undefined,
    /** Until when something was in the way. */
    cutUntil: 0,
    isCut: false,
    /** Both have been heard on their final options. */
    isSettled: false,
    hasEnded: false,
    endings: {},
    silences: [0, 0],
    /** The last samples: when, and of the tested one and of the twin the silence and the probes that are unanswered. */
    history: [],
    survived: 0,
    isHeardAgain: false,
    pendingAt: Number.NEGATIVE_INFINITY,
    /** When the one under test was last heard, while its twin has ended. */
    silentSince: Number.POSITIVE_INFINITY,
    ports: [],
    waiting: new Map(),
  }
  pairs.set(id, pair)
  while (path.isCut) await delay(100)
  opening++
  tellObserver(id, 'connect', { host: far, port: 7_000 })
  tell(id, 'connect', { host: far, port: 7_000 })
  const [twin, tested] = await Promise.all([
    expected(pair, 'connected by observer'),
    expected(pair, 'connected by subject'),
  ])
  pair.ports = [tested.port, twin.port]
  tellObserver(id, 'duplicate', { pid: subject.pid, fd: tested.fd })
  await expected(pair, 'duplicated')
  opening--
  return pair
}

/** Tuned, watched and probed in any order; then the twin gets the same final options. */
async function settle(pair) {
  const { id, random, profile } = pair
  const heartbeat = drawHeartbeat(random)
  const watchesFirst = random() < 0.5
  if (watchesFirst) watchWith(pair, heartbeat)
  for (let more = Math.floor(3 * random()); more > 0; more--) {
    tuneTo(pair, drawProfile(random))
    await delay(2_000 * random())
    if (random() < 0.5) probe(pair)
  }
  tuneTo(pair, profile)
  if (!watchesFirst) {
    await delay(1_000 * random())
    watchWith(pair, heartbeat)
  }
  tellObserver(id, 'tune', profile)
  await expected(pair, 'tuned')
  // A tune may wait for the peer to be heard, and a stopped process tunes later.
  await whenSubjectListens(pair)
  await delay(SETTLED_AFTER)
  // Both must be heard on their final options: a whole cut may have come in between.
  do {
    exchange(pair)
    await delay(SAMPLED_AFTER)
  } while (!pair.hasEnded && !isOver() && pair.silences.some((silence) => !(silence < SAMPLED_AFTER)))
  pair.isSettled = !pair.hasEnded
}

/** Once the subject has done what it was told so far. Returns what it has of the connection, if that is open. */
function whenSubjectListens(pair) {
  tell(pair.id, 'check')
  return expected(pair, 'checked')
}

async function calm(pair) {
  for (let left = 500 + 6_000 * pair.random(); left > 0 && !pair.hasEnded; left -= 1_000) {
    if (pair.random() < 0.2) act(pair)
    await delay(Math.min(1_000, left))
  }
  // Often both are heard just before, so that they become silent together; else each when its own timer has it.
  if (pair.random() < 0.6) {
    if (!peerData) exchange(pair)
    await delay(100)
    // What the peer says need not reset the kernel's count of unanswered probes, as an acknowledgement does.
    if (peerData || pair.random() < 0.5) tellPeers('speak', pair.ports)
  }
  await delay(100 + 3_000 * pair.random())
}

async function failPath(pair) {
  const left = end - now()
  const { length, writeAfter } = drawOutage(pair.random, pair.profile, pair.every, left)
  counts.outages++
  pair.isCut = true
  await path.cutOff(pair.ports)
  const until = Math.min(end, now() + length)
  if (writeAfter !== undefined) {
    await delay(writeAfter)
    tellObserver(pair.id, 'write')
  }
  while (now() < until && !(pair.endings.tested && pair.endings.twin)) {
    if (pair.random() < 0.25) act(pair)
    await delay(Math.min(500, Math.max(0, until - now())))
  }
  await path.letThrough(pair.ports)
  pair.isCut = false
  pair.cutUntil = now()
  if (pair.random() < 0.5) {
    if (peerData) tellPeers('speak', pair.ports)
    else exchange(pair)
  }
}

/** Both write something that is acknowledged at once. */
function exchange(pair) {
  if (!pair.isCut && !path.isCut) tellObserver(pair.id, 'write', { during: 'calm' })
}

/** Anything that must not shorten its life. */
function act(pair) {
  const chance = pair.random()
  if (chance < 0.5) probe(pair)
  else if (chance < 0.7) tuneTo(pair, pair.profile)
  else if (chance < 0.9 && pair.heartbeat) watchWith(pair, pair.heartbeat)
  else if (pair.heartbeat) tell(pair.id, 'unwatch')
}

function probe(pair) {
  counts.probes++
  tell(pair.id, 'probe', drawProbe(pair.random))
}

function tuneTo(pair, profile) {
  counts.tunes++
  tell(pair.id, 'tune', { profile })
}

function watchWith(pair, heartbeat) {
  if (!heartbeat) return
  counts.heartbeats++
  pair.heartbeat = heartbeat
  pair.every = heartbeat.every
  tell(pair.id, 'watch', { heartbeat })
}

/** Waits until the other one has ended too, or was heard again. */
async function decide(pair) {
  while (pair.hasEnded && !pair.isDecided && !isOver()) {
    if (now() > pair.cutUntil + UNSURE) exchange(pair)
    await delay(250)
  }
  // It has told of the end by then: Node reads events of sockets and of the channel in the same turn.
  for (let turn = 0; turn < 3; turn++) await whenSubjectListens(pair)
  const { id, profile, every, heartbeat, wroteAt, endings, survived, isDecided } = pair
  const { tested, twin } = endings
  const wasPending = pair.pendingAt > (tested ? tested.at - tested.silence : pair.silentSince)
  if (!tested && !twin) {
    outcome.survived++
    return
  }
  if (!pair.isSettled) {
    outcome.unsettled++
    return
  }
  outcome.died++
  if (twin && !tested && !isDecided) outcome.undecided++
  if (tested) tested.code = pair.code ?? 'nothing'
  const verdict = judgePair({ id, profile, every, wroteAt, tested, twin, survived, wasPending })
  if (verdict.isCompared) {
    outcome.compared++
    outcome.longestLead = Math.max(outcome.longestLead, verdict.lead)
    outcome.longestLag = Math.max(outcome.longestLag, -verdict.lead)
  }
  if (verdict.isExcused) outcome.excused++
  if (verdict.fault)
    note(pair, verdict.fault, {
      lead: verdict.lead,
      heartbeat,
      tested,
      twin,
      survived,
      wroteAt,
      history: pair.history,
    })
}

function note(pair, fault, details) {
  const one = { fault, id: pair.id, profile: pair.profile, ...details }
  faults.push(one)
  console.log('fault', JSON.stringify(one))
}

/** One that lives has its own options again when nobody watches it any more. */
async function retire(pair) {
  const { id, ports, endings, wroteAt, profile } = pair
  if (!endings.tested && wroteAt === undefined && !isOver()) {
    while (path.isCut) await delay(100)
    exchange(pair)
    tell(id, 'unwatch')
    await delay(SETTLED_AFTER)
    const checked = await whenSubjectListens(pair)
    const wasCut = now() < wholePathCutUntil + SETTLED_AFTER || path.isCut
    if (checked.profile && !wasCut && !pair.endings.tested) {
      const differs = Object.keys(profile).some((name) => checked.profile[name] !== profile[name])
      if (differs || checked.pending)
        note(pair, 'has other options in the end', { now: checked.profile, pending: checked.pending })
    }
  }
  pairs.delete(id)
  tellObserver(id, 'close')
  tell(id, 'close')
  tellPeers('forget', ports)
}

function expected(pair, what) {
  return new Promise((resolve) => {
    pair.waiting.set(what, resolve)
  })
}

function arrive(pair, what, event) {
  const resolve = pair.waiting.get(what)
  pair.waiting.delete(what)
  resolve?.(event)
}

function hearObserver(event) {
  if (event.did === 'sampled') {
    for (const [id, samples] of Object.entries(event.samples))
      follow(pairs.get(Number(id)), samples, event.at)
    return
  }
  const pair = pairs.get(event.id)
  if (!pair) return
  if (event.did === 'ended') {
    pair.endings[event.side] = event
    pair.hasEnded = true
    pair.isDecided = pair.endings.tested !== undefined && pair.endings.twin !== undefined
  } else if (event.did === 'wrote') {
    if (event.during === 'outage') pair.wroteAt = event.at
  } else arrive(pair, event.did === 'connected' ? 'connected by observer' : event.did, event)
}

/** Of a pair of which one has ended: for how long the other has waited, until it is heard. */
function follow(pair, samples, at) {
  if (!pair) return
  pair.history.push([Math.round(at), ...samples.flat()])
  if (pair.history.length > HISTORY) pair.history.shift()
  const silences = samples.map((sample) => sample?.[0] ?? null)
  const side = pair.endings.twin ? 0 : 1
  const [before, silence] = [pair.silences[side], silences[side]]
  pair.silences = silences
  if (!pair.hasEnded || pair.isDecided || silence === null) return
  // In flight, what is heard does not end the wait.
  const isHeard = silence < before
  if (isHeard && pair.wroteAt === undefined) pair.isDecided = true
  else if (side === 0) pair.silentSince = at - silence
  if (!pair.isDecided)
    pair.survived = Math.max(pair.survived, pair.wroteAt === undefined ? silence : at - pair.wroteAt)
  // The path is open: what was in flight may have arrived.
  if (pair.wroteAt !== undefined && !pair.isCut && !path.isCut) pair.isDecided = true
}

function hearSubject(event) {
  if (event.did === 'pending') {
    for (const id of event.ids) {
      const pair = pairs.get(id)
      if (pair) pair.pendingAt = event.at
    }
    return
  }
  const pair = pairs.get(event.id)
  if (!pair) return
  if (event.did === 'error') pair.code = event.code
  else if (event.did === 'dead') judgeVerdict(pair, event)
  else if (event.did === 'refused') {
    if (!pair.endings.tested && event.code !== 'ERR_SOCKET_CLOSED') note(pair, 'was refused', event)
  } else arrive(pair, event.did === 'connected' ? 'connected by subject' : event.did, event)
}

/** A heartbeat's verdict is true only if the path was cut. */
function judgeVerdict(pair, { at, detectedBy, reason, silentFor }) {
  if (detectedBy !== 'heartbeat') return
  counts.verdicts++
  const unsureUntil = Math.max(pair.cutUntil, wholePathCutUntil, stoppedUntil) + VERDICT_AFTER
  if (pair.isCut || path.isCut || at < unsureUntil) return
  note(pair, 'called dead on an open path', { reason, silentFor, heartbeat: pair.heartbeat })
}

async function cutWholePath() {
  while (!isOver()) {
    await delay(Math.min(Math.max(0, end - now()), 15_000 + 45_000 * random()))
    if (isOver()) return
    path.isCut = true
    // What was just written is acknowledged by then, and what is being opened is open.
    await delay(100)
    while (opening > 0) await delay(20)
    counts.cuts++
    path.cut()
    await delay(Math.min(end - now(), 500 + 20_000 * random() ** 2))
    path.mend()
    wholePathCutUntil = now()
  }
}

/** For up to some heartbeats. */
async function stopSubject() {
  while (!isOver()) {
    await delay(Math.min(Math.max(0, end - now()), 10_000 + 30_000 * random()))
    if (isOver()) return
    const length = 300 + 15_000 * random() ** 2
    counts.stops++
    tell(undefined, 'stop')
    stoppedUntil = now() + length
    await delay(length)
    subject.kill('SIGCONT')
    stoppedUntil = now()
  }
}

function report() {
  const { died, compared, excused, survived, unsettled, undecided, longestLead, longestLag } = outcome
  console.log(
    `done: ${Object.entries(counts)
      .map(([what, times]) => `${times} ${what}`)
      .join(', ')}`,
  )
  console.log(
    `${survived} pairs lived; ${unsettled} ended before the twin had its options; ${undecided} still waited at the end; ${excused} were late while inspect showed values as pending`,
  )
  console.log(`longest lead ${longestLead.toFixed(0)} ms, longest lag ${longestLag.toFixed(0)} ms`)
  console.log(`${died} pairs died, ${compared} compared, ${faults.length} faults`)
}

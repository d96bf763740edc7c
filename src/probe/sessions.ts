import type { BorrowedSocket } from '../connection/borrowed.js'
import type { Target } from '../connection/target.js'
import type { NativeCore } from '../kernel/binding.js'
import { readKeepaliveTimers, type SampleWithOptions, sampleAll } from '../kernel/liveness.js'
import { sharedState } from '../kernel/shared-state.js'
import { onAbort } from '../options/abort-signal.js'
import { CookieMap } from '../overlay/cookie-map.js'
import { reconcile } from '../overlay/overlay.js'
import { giveBackTurns, takeTurns } from '../overlay/probe-rate.js'
import { beforeExit } from './before-exit.js'
import { type Confirm, confirmOf } from './confirm.js'
import type { ProbeResult } from './result.js'
import { ProbeSession } from './session.js'
import { descriptorNow, type Subject, subjectsOf } from './subject.js'
import type { Waiter } from './waiters.js'

/** The options of a probe, checked. */
export interface ProbeParameters {
  readonly attempts: number
  readonly timeout: number
  readonly trustsSilence?: boolean
  readonly confirm?: Confirm
  readonly signal?: AbortSignal
  readonly onAnswer?: (result: ProbeResult, index: number) => void
}

/** All sessions by cookie. `queue` has those that wait for their turn to probe. */
const open = sharedState('probes', () => new CookieMap<ProbeSession>())
let queue: ProbeSession[] = []

/**
 * The number of sessions whose probe is not known to have left. On a busy machine their timers are late and fire together, and probes beyond
 * net.core.netdev_max_backlog (1,000) would be lost. So at most MOST_LEAVING are sent at a time.
 */
const leaving = sharedState('leavingProbes', () => ({ count: 0 }))
const MOST_LEAVING = 480

/** SLICE: sockets in one native call. BUDGET: how long one turn of the event loop may take, ms. */
const SLICE = 64
const BUDGET = 1

/** How long to wait if no probe may leave now, ms. */
const PACE = 2

/** Probes many connections. Returns a promise for each, which is rejected if the target is not a connection or is not connected yet. */
export function startProbes(
  core: NativeCore,
  targets: readonly Target[],
  parameters: ProbeParameters,
): Promise<ProbeResult>[] {
  const subjects = subjectsOf(core, targets)
  const { confirm } = parameters
  const started: { session: ProbeSession; waiter: Waiter }[] = []
  const answers = subjects.map((subject, i) => {
    const learn = learner(parameters, i)
    if (subject instanceof Error) return Promise.reject(subject)
    return new Promise<ProbeResult>((resolve, reject) => {
      if (subject && !parameters.signal?.aborted) {
        const { attempts, timeout, trustsSilence = false } = parameters
        const confirming = confirm && confirmOf(confirm, targets[i]!)
        const waiter: Waiter = {
          attempts,
          timeout,
          trustsSilence,
          resolve,
          reject,
          ...(confirming && { confirm: confirming }),
          ...(learn && { learn }),
        }
        started.push({ session: join(core, subject, waiter), waiter })
      } else {
        const result = { ...(subject ? aborted : closed) }
        learn?.(result)
        resolve(result)
      }
    })
  })
  if (started.length > 0) wake(core)
  if (parameters.signal && started.length > 0) abortWith(core, parameters.signal, started, answers)
  return answers
}

export const aborted: ProbeResult = {
  alive: undefined,
  evidence: 'aborted',
  attempts: 0,
  idleFor: Number.NaN,
}
const closed: ProbeResult = { alive: false, evidence: 'closed', attempts: 0, idleFor: Number.NaN }

/** Calls `onAnswer` in a microtask, so that an error or a probe in it does not interrupt a step. It is queued before the promise is resolved, so
 * it runs first. */
function learner({ onAnswer }: ProbeParameters, i: number): Waiter['learn'] {
  return onAnswer && ((result) => queueMicrotask(() => onAnswer(result, i)))
}

/** Probes one connection for a waiter that the caller has made. */
export function startProbe(core: NativeCore, subject: Subject, waiter: Waiter): void {
  join(core, subject, waiter)
  wake(core)
}

/** Restores the options that compensate for unanswered probes once the kernel no longer counts these. */
export function restoreLater(core: NativeCore, subject: Subject): void {
  if (open().get(subject.cookie)) return
  const session = new ProbeSession(core, subject)
  open().add(session)
  queue.push(session)
  wake(core)
}

/** Ends the wait of a waiter, which gets `aborted`. */
export function withdraw(cookie: bigint, waiter: Waiter): void {
  open().get(cookie)?.abort(waiter)
}

function join(core: NativeCore, subject: Subject, waiter: Waiter): ProbeSession {
  let session = open().get(subject.cookie)
  if (!session) {
    session = new ProbeSession(core, subject)
    open().add(session)
    queue.push(session)
    if (subject.borrowed) session.release = beforeExit(() => giveUp(core, session!))
  }
  session.join(waiter)
  return session
}

/** Restores all options at once, because this process is about to end. */
function giveUp(core: NativeCore, session: ProbeSession): void {
  session.surrender()
  step(core, [session], reconcileSessions)
}

function abortWith(
  core: NativeCore,
  signal: AbortSignal,
  started: readonly { session: ProbeSession; waiter: Waiter }[],
  answers: readonly Promise<unknown>[],
): void {
  const release = onAbort(signal, () => {
    const surrendered = started
      .filter(({ session, waiter }) => session.abort(waiter))
      .map(({ session }) => session)
    for (const session of surrendered) session.surrender()
    // A later probe of this connection gets a session and a turn of its own.
    queue = queue.filter(({ phase }) => phase === 'queued')
    step(core, surrendered, reconcileSessions)
    wake(core)
  })
  void Promise.allSettled(answers).then(release)
}

let timer: NodeJS.Timeout | undefined
let isAwake = false

/** Runs a turn with setImmediate, so that probes started in the same turn of the event loop are sent together. */
function wake(core: NativeCore): void {
  if (isAwake) return
  isAwake = true
  setImmediate(() => turn(core))
}

function turn(core: NativeCore): void {
  isAwake = false
  clearTimeout(timer)
  const start = performance.now()
  const due: ProbeSession[] = []
  open().forEach((session) => {
    if (session.phase !== 'queued' && session.schedule.due <= start) due.push(session)
  })
  let at = 0
  let isPaced = false
  do {
    if (at < due.length) sampleDue(core, due.slice(at, at + SLICE))
    at += SLICE
    isPaced = !fireNext(core)
  } while ((at < due.length || !isPaced) && performance.now() - start < BUDGET)
  sleep(core, isPaced)
}

/** One timer for all sessions. It keeps the process running only while a waiter does. */
function sleep(core: NativeCore, isPaced: boolean): void {
  const now = performance.now()
  let next = queue.length === 0 ? Number.POSITIVE_INFINITY : isPaced ? now + PACE : now
  let holdsProcess = false
  open().forEach((session) => {
    holdsProcess ||= session.holdsProcess
    if (session.phase !== 'queued') next = Math.min(next, session.schedule.due)
  })
  if (next <= now) wake(core)
  else if (next < Number.POSITIVE_INFINITY) {
    timer = setTimeout(() => turn(core), next - now)
    if (!holdsProcess) timer.unref()
  }
}

/** Sends as many probes as the rate limit allows now. Returns whether it allows more. */
function fireNext(core: NativeCore): boolean {
  if (queue.length === 0) return false
  const turns = takeTurns(Math.min(SLICE, queue.length, MOST_LEAVING - leaving().count))
  const next = queue.slice(0, turns)
  queue = queue.slice(turns)
  step(core, next, reconcileSessions)
  giveBackTurns(turns - next.filter(({ phase }) => phase === 'firing').length)
  return turns > 0 && queue.length > 0
}

function sampleDue(core: NativeCore, sessions: readonly ProbeSession[]): void {
  const firing = sessions.filter(({ phase }) => phase === 'firing')
  const others = sessions.filter(({ phase }) => phase !== 'firing')
  step(core, firing, reconcileSessions)
  step(core, others, sampleSessions)
}

type Step = (core: NativeCore, sessions: readonly ProbeSession[]) => void

/** Runs a step with the descriptors of connections. Connections of other processes are borrowed for it, one at a time. */
function step(core: NativeCore, sessions: readonly ProbeSession[], run: Step): void {
  const own = sessions.every(({ subject }) => !subject.borrowed)
    ? sessions
    : sessions.filter(({ subject }) => !subject.borrowed)
  for (const session of own) session.fd = descriptorNow(session.subject)
  if (own.length > 0) run(core, own)
  for (const session of sessions) {
    if (session.subject.borrowed) withBorrowed(core, session, session.subject.borrowed, run)
    const isLeaving = session.phase === 'firing'
    if (isLeaving !== session.isLeaving) {
      session.isLeaving = isLeaving
      leaving().count += isLeaving ? 1 : -1
    }
    if (session.phase !== 'over') continue
    open().delete(session)
    session.release?.()
  }
}

function withBorrowed(core: NativeCore, session: ProbeSession, borrowed: BorrowedSocket, run: Step): void {
  try {
    borrowed.use((fd) => {
      session.fd = fd
      run(core, [session])
    })
  } catch (error) {
    session.unreachable(error as Error)
  }
}

function sampleSessions(core: NativeCore, sessions: readonly ProbeSession[]): void {
  const samples = sampleAll(core, sessions)
  const now = performance.now()
  const changing: ProbeSession[] = []
  for (const [i, sample] of samples.entries()) {
    const session = sessions[i]!
    if (typeof sample === 'number') {
      session.unread(sample)
      continue
    }
    const next = session.observeSample(sample, now)
    if (next === 'reconcile') changing.push(session)
    else if (next === 'fire') queue.push(session)
  }
  if (changing.length > 0) reconcileSessions(core, changing)
}

function reconcileSessions(core: NativeCore, sessions: readonly ProbeSession[]): void {
  reconcile(core, sessions, (seen) => readTimers(core, sessions, seen))
}

function readTimers(
  core: NativeCore,
  sessions: readonly ProbeSession[],
  seen: readonly (SampleWithOptions | number)[],
): void {
  const needing = sessions.filter((session, i) => {
    const found = seen[i]!
    return typeof found !== 'number' && session.needsTimer(found)
  })
  for (const session of sessions) session.firing.timer = undefined
  // A borrowed connection may be in its owner's network namespace. Only there is its timer shown.
  const pidOf = ({ subject }: ProbeSession) => subject.borrowed?.pid
  for (const pid of new Set(needing.map(pidOf))) {
    const ofOne = needing.filter((session) => pidOf(session) === pid)
    const timers = readKeepaliveTimers(core, ofOne, pid)
    for (const [i, session] of ofOne.entries()) session.firing.timer = timers[i]
  }
}

import type { BorrowedSocket } from '../connection/borrowed.js'
import type { Target } from '../connection/target.js'
import type { NativeCore } from '../kernel/binding.js'
import { descriptorError, isShortage } from '../kernel/failure.js'
import {
  examine,
  type KeepaliveWrite,
  lookAt,
  readKeepaliveTimers,
  type Seen,
  writeKeepalive,
} from '../kernel/liveness.js'
import { refusalError } from '../kernel/options.js'
import { onAbort } from '../options/abort-signal.js'
import { ByCookie } from '../overlay/by-cookie.js'
import { adopt, liftedNow, sameKeepalive } from '../overlay/lifted.js'
import { giveBackTurns, takeTurns } from '../overlay/probe-rate.js'
import { beforeExit } from './before-exit.js'
import type { ProbeResult } from './result.js'
import { Question } from './session.js'
import { descriptorNow, type Subject, subjectsOf } from './subject.js'
import type { Asker } from './waiters.js'

/** What is asked of each connection. */
export interface Wish {
  readonly attempts: number
  readonly timeout: number
  readonly signal?: AbortSignal
  readonly onAnswer?: (result: ProbeResult, index: number) => void
}

/** Questions under way, by cookie, and those of them that wait for their turn to ask. */
const open = new ByCookie<Question>()
let queue: Question[] = []

/**
 * Those whose probe has not been seen to leave. Their timers fire together where the machine is too busy for timers in time, and more than
 * net.core.netdev_max_backlog (1,000) would not arrive: so no more at a time, however long it takes.
 */
let leaving = 0
const MOST_LEAVING = 480

/** Sockets in one native call, and how long one turn of the event loop may take, ms. */
const SLICE = 64
const BUDGET = 1

/** How long to wait for turns where there are none, ms. */
const PACE = 2

/** Probes many connections. Returns a promise for each, which is rejected if the target is not a connection or is not connected yet. */
export function ask(core: NativeCore, targets: readonly Target[], wish: Wish): Promise<ProbeResult>[] {
  const subjects = subjectsOf(core, targets)
  const asked: { question: Question; asker: Asker }[] = []
  const answers = subjects.map((subject, i) => {
    const learn = learner(wish, i)
    if (subject instanceof Error) return Promise.reject(subject)
    return new Promise<ProbeResult>((resolve, reject) => {
      if (subject && !wish.signal?.aborted) {
        const { attempts, timeout } = wish
        const asker: Asker = { attempts, timeout, resolve, reject, ...(learn && { learn }) }
        asked.push({ question: join(core, subject, asker), asker })
      } else {
        const unasked = { ...(subject ? aborted : closed) }
        learn?.(unasked)
        resolve(unasked)
      }
    })
  })
  if (asked.length > 0) wake(core)
  if (wish.signal && asked.length > 0) abortWith(core, wish.signal, asked, answers)
  return answers
}

export const aborted: ProbeResult = {
  alive: undefined,
  evidence: 'aborted',
  attempts: 0,
  idleFor: Number.NaN,
}
const closed: ProbeResult = { alive: false, evidence: 'closed', attempts: 0, idleFor: Number.NaN }

/** In a microtask: what it throws, or asks, does not get into the middle of a step. Queued before a promise is resolved, it comes first. */
function learner({ onAnswer }: Wish, i: number): Asker['learn'] {
  return onAnswer && ((result) => queueMicrotask(() => onAnswer(result, i)))
}

/** Asks one peer, for somebody who wants to be called back. */
export function askOne(core: NativeCore, subject: Subject, asker: Asker): void {
  join(core, subject, asker)
  wake(core)
}

/** One who was to be called back wants no answer any more, and gets none but `aborted`. */
export function withdraw(cookie: bigint, asker: Asker): void {
  open.get(cookie)?.abort(asker)
}

function join(core: NativeCore, subject: Subject, asker: Asker): Question {
  let question = open.get(subject.cookie)
  if (!question) {
    question = new Question(subject)
    open.add(question)
    queue.push(question)
    if (subject.borrowed) question.release = beforeExit(() => giveUp(core, question!))
  }
  question.join(asker)
  return question
}

/** All back at once, whatever that may do: this process is about to end. */
function giveUp(core: NativeCore, question: Question): void {
  question.surrender()
  step(core, [question], examineAll)
}

function abortWith(
  core: NativeCore,
  signal: AbortSignal,
  asked: readonly { question: Question; asker: Asker }[],
  answers: readonly Promise<unknown>[],
): void {
  const release = onAbort(signal, () => {
    const surrendered = asked
      .filter(({ question, asker }) => question.abort(asker))
      .map(({ question }) => question)
    for (const question of surrendered) question.surrender()
    // Who asks this connection from now on has a question, and a turn, of its own.
    queue = queue.filter(({ phase }) => phase === 'waiting')
    step(core, surrendered, examineAll)
    wake(core)
  })
  void Promise.allSettled(answers).then(release)
}

let timer: NodeJS.Timeout | undefined
let isAwake = false

/** As soon as the present turn of the event loop is over: those who ask in the same turn are served together. */
function wake(core: NativeCore): void {
  if (isAwake) return
  isAwake = true
  setImmediate(() => turn(core))
}

function turn(core: NativeCore): void {
  isAwake = false
  clearTimeout(timer)
  const start = performance.now()
  const due: Question[] = []
  open.forEach((question) => {
    if (question.phase !== 'waiting' && question.due <= start) due.push(question)
  })
  let at = 0
  let isPaced = false
  do {
    if (at < due.length) lookAgain(core, due.slice(at, at + SLICE))
    at += SLICE
    isPaced = !askNext(core)
  } while ((at < due.length || !isPaced) && performance.now() - start < BUDGET)
  sleep(core, isPaced)
}

/** One timer for all. It holds the process only while somebody who is not patient waits for an answer. */
function sleep(core: NativeCore, isPaced: boolean): void {
  const now = performance.now()
  let next = queue.length === 0 ? Number.POSITIVE_INFINITY : isPaced ? now + PACE : now
  let holdsProcess = false
  open.forEach((question) => {
    holdsProcess ||= question.holdsProcess
    if (question.phase !== 'waiting') next = Math.min(next, question.due)
  })
  if (next <= now) wake(core)
  else if (next < Number.POSITIVE_INFINITY) {
    timer = setTimeout(() => turn(core), next - now)
    if (!holdsProcess) timer.unref()
  }
}

/** Those whose turn it is to ask, as many as may. Returns whether there may be more. */
function askNext(core: NativeCore): boolean {
  if (queue.length === 0) return false
  const turns = takeTurns(Math.min(SLICE, queue.length, MOST_LEAVING - leaving))
  const next = queue.slice(0, turns)
  queue = queue.slice(turns)
  step(core, next, examineAll)
  giveBackTurns(turns - next.filter(({ phase }) => phase === 'asked').length)
  return turns > 0 && queue.length > 0
}

function lookAgain(core: NativeCore, questions: readonly Question[]): void {
  const asked = questions.filter(({ phase }) => phase === 'asked')
  const others = questions.filter(({ phase }) => phase !== 'asked')
  step(core, asked, examineAll)
  step(core, others, glanceAtAll)
}

type Step = (core: NativeCore, questions: readonly Question[]) => void

/** Does something with the descriptors of connections; those of other processes are borrowed for it, one by one. */
function step(core: NativeCore, questions: readonly Question[], run: Step): void {
  const own = questions.every(({ subject }) => !subject.borrowed)
    ? questions
    : questions.filter(({ subject }) => !subject.borrowed)
  for (const question of own) question.fd = descriptorNow(question.subject)
  if (own.length > 0) run(core, own)
  for (const question of questions) {
    if (question.subject.borrowed) withBorrowed(core, question, question.subject.borrowed, run)
    const isLeaving = question.phase === 'asked'
    if (isLeaving !== question.isLeaving) {
      question.isLeaving = isLeaving
      leaving += isLeaving ? 1 : -1
    }
    if (question.phase !== 'over') continue
    open.delete(question)
    question.release?.()
  }
}

function withBorrowed(core: NativeCore, question: Question, borrowed: BorrowedSocket, run: Step): void {
  try {
    borrowed.use((fd) => {
      question.fd = fd
      run(core, [question])
    })
  } catch (error) {
    if (isClosed(error as Error)) question.gone()
    else if (mayTryAgain(question, error as Error)) question.unreached(error as Error, performance.now())
    else question.fail(error as Error)
  }
}

function glanceAtAll(core: NativeCore, questions: readonly Question[]): void {
  const looks = lookAt(core, questions)
  const now = performance.now()
  const closer: Question[] = []
  for (const [i, look] of looks.entries()) {
    const question = questions[i]!
    if (typeof look === 'number') {
      unseen(question, look)
      continue
    }
    const next = question.glance(look, now)
    if (next === 'examine') closer.push(question)
    else if (next === 'ask') queue.push(question)
  }
  if (closer.length > 0) examineAll(core, closer)
}

interface Change extends KeepaliveWrite {
  readonly socket: Question
}

function examineAll(core: NativeCore, questions: readonly Question[]): void {
  const seen = examine(core, questions)
  readTimers(core, questions, seen)
  const now = performance.now()
  const asks: Change[] = []
  const stops: Change[] = []
  for (const [i, found] of seen.entries()) {
    const question = questions[i]!
    if (typeof found === 'number') {
      unseen(question, found)
      continue
    }
    const { look, options } = found
    if (question.lifted) adopt(question.lifted, options)
    const isTurn = question.phase === 'waiting'
    question.see(look, options, now)
    if (!question.lifted) continue
    const wanted = liftedNow(question.lifted, look)
    const change = { socket: question, before: options, wanted }
    if (isTurn && question.phase === 'asked') asks.push(change)
    else if (sameKeepalive(wanted, options)) question.written(wanted)
    else stops.push(change)
  }
  write(core, asks, true)
  write(core, stops, false)
}

function readTimers(
  core: NativeCore,
  questions: readonly Question[],
  seen: readonly (Seen | number)[],
): void {
  const needing = questions.filter((question, i) => {
    const found = seen[i]!
    return typeof found !== 'number' && question.needsTimer(found.look, found.options)
  })
  for (const question of questions) question.timer = undefined
  // A borrowed connection may be in the network namespace of its owner, and no other shows its timer.
  const pidOf = ({ subject }: Question) => subject.borrowed?.pid
  for (const pid of new Set(needing.map(pidOf))) {
    const ofOne = needing.filter((question) => pidOf(question) === pid)
    const timers = readKeepaliveTimers(core, ofOne, pid)
    for (const [i, question] of ofOne.entries()) question.timer = timers[i]
  }
}

function write(core: NativeCore, changes: readonly Change[], asks: boolean): void {
  if (changes.length === 0) return
  const refusals = writeKeepalive(core, changes, asks)
  for (const [i, { socket, wanted }] of changes.entries()) {
    const refusal = refusals[i]
    if (refusal) refused(socket, refusalError(refusal, socket.fd), asks)
    else socket.written(wanted)
  }
}

/** How often putting options back is tried where it is forbidden. A shortage passes, so there it is tried until it succeeds. */
const MOST_REFUSALS = 5

function mayTryAgain(question: Question, error: Error): boolean {
  return question.lifted !== undefined && (isShortage(error) || ++question.refusals < MOST_REFUSALS)
}

function refused(question: Question, error: Error, asks: boolean): void {
  if (isClosed(error)) question.gone()
  else if (asks) question.refused(error)
  else if (mayTryAgain(question, error)) question.unreached(error, performance.now())
  else {
    // It was taken when it was first written: only a sandbox since, or another thread, refuses.
    process.emitWarning(error)
    question.fail(error)
  }
}

function unseen(question: Question, errno: number): void {
  const error = descriptorError(errno, question.fd)
  if (isClosed(error)) question.gone()
  else if (mayTryAgain(question, error)) question.unreached(error, performance.now())
  else question.fail(error)
}

/** ESTALE is the native core's word for a number that is another socket's by now. */
function isClosed(error: Error): boolean {
  return 'code' in error && (error.code === 'ERR_SOCKET_CLOSED' || error.code === 'ESTALE')
}

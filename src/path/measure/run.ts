import { setMaxListeners } from 'node:events'
import type net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { DeadpeerError } from '../../errors.js'
import type { NativeCore } from '../../kernel/binding.js'
import type { MeasuredPath, Observation } from '../measured-path.js'
import type { IdleConnection } from './connection.js'
import { GREETING, hold } from './holder.js'
import { type Circumstances, interpret } from './interpret.js'
import { Listener } from './listener.js'
import { Opener } from './opener.js'
import type { MeasureOptions, MeasureProgress } from './options.js'
import { Rounds } from './rounds.js'
import { bracketOf, timeLeft } from './search.js'
import type { ConnectionSource } from './source.js'

/** A peer that ends connections faster than this does not let them become idle, ms. */
const AT_ONCE = 100
/** How long to wait for the greeting of a measurement at the other end, beside two round trips, ms. */
const GREETING_WAIT = 500

/** Runs a measurement. The options were checked. */
export async function run(core: NativeCore, options: MeasureOptions): Promise<MeasuredPath> {
  const { listen, host, port, signal } = options
  const stopping = new AbortController()
  // Each connection listens to it.
  setMaxListeners(0, stopping.signal)
  const stop = () => stopping.abort()
  signal?.addEventListener('abort', stop)
  if (signal?.aborted) stop()
  const measurement = new Measurement(options, stopping)
  try {
    return listen !== undefined
      ? await measurement.fromServer(core, listen)
      : await measurement.fromClient(core, host!, port!)
  } finally {
    signal?.removeEventListener('abort', stop)
    stop()
  }
}

/** One measurement. */
class Measurement {
  readonly #options: MeasureOptions
  readonly #search: { upTo: number; connections: number }
  readonly #stopping: AbortController
  readonly #startedAt = performance.now()

  constructor(options: MeasureOptions, stopping: AbortController) {
    this.#options = options
    const { upTo = 600_000, connections = 12 } = options
    this.#search = { upTo, connections }
    this.#stopping = stopping
  }

  async fromClient(core: NativeCore, host: string, port: number): Promise<MeasuredPath> {
    const { tls = false, http = false } = this.#options
    const { signal } = this.#stopping
    const opener = new Opener(core, { host, port, tls, http })
    let opened: Awaited<ReturnType<Opener['first']>>
    try {
      opened = await opener.first(signal)
    } catch (error) {
      if (!signal.aborted) throw error
      return this.#result(
        opener,
        undefined,
        'The measurement was interrupted before the first connection was open.',
      )
    }
    const first = opener.adopt(opened)
    const isGreeted = await this.#isGreeted(first, opened.stream)
    if (first.end && first.end.idle < AT_ONCE && !signal.aborted) {
      opener.release(first)
      throw endedAtOnce(opener.name, first.end.outcome)
    }
    if (isGreeted) return await this.#hold(opener, first, opened.stream)
    return await this.#measure(opener, first)
  }

  async fromServer(core: NativeCore, port: number): Promise<MeasuredPath> {
    const listener = new Listener(core, port, () => this.#stopping.abort())
    await listener.listen()
    try {
      this.#report({ doing: 'waiting', open: 0 })
      const result = await this.#measure(listener)
      await listener.tellResult(result)
      return result
    } finally {
      listener.close()
    }
  }

  /** Whether a measurement listens at the other end. */
  async #isGreeted(first: IdleConnection, stream: NodeJS.ReadableStream): Promise<boolean> {
    let heard = ''
    const waiting = new AbortController()
    const onData = (data: Buffer) => {
      heard += data.toString('latin1')
      if (heard.length >= GREETING.length) waiting.abort()
    }
    stream.on('data', onData)
    first.onEnd = () => waiting.abort()
    const abort = () => waiting.abort()
    this.#stopping.signal.addEventListener('abort', abort)
    try {
      await delay(GREETING_WAIT + 2 * first.rtt, undefined, { signal: waiting.signal })
    } catch {
      // The greeting, other data, an end or an interruption.
    }
    this.#stopping.signal.removeEventListener('abort', abort)
    first.onEnd = undefined
    stream.off('data', onData)
    return heard.startsWith(GREETING)
  }

  async #hold(opener: Opener, control: IdleConnection, stream: net.Socket): Promise<MeasuredPath> {
    const reporting = setInterval(() => this.#report({ doing: 'holding', open: opener.open }), 500)
    this.#report({ doing: 'holding', open: opener.open })
    try {
      const result = await hold(opener, stream, this.#stopping.signal)
      return result ?? (await this.#result(opener, undefined, 'The connection to the measuring side ended.'))
    } finally {
      clearInterval(reporting)
      opener.release(control)
    }
  }

  async #measure(source: ConnectionSource, first?: IdleConnection): Promise<MeasuredPath> {
    const { signal } = this.#stopping
    const rounds = new Rounds(source, this.#search, signal, {
      onObservation: (observation) => this.#progress(source, rounds, observation),
      onSample: () => this.#progress(source, rounds),
    })
    await rounds.run(first)
    return this.#result(source, rounds, this.#missing(source, rounds))
  }

  /** Why the measurement is not complete. `undefined`: it is. */
  #missing(source: ConnectionSource, rounds: Rounds): string | undefined {
    if (this.#stopping.signal.aborted)
      return 'The measurement was interrupted. The result is what was known until then.'
    if (rounds.isFinished) return undefined
    return source.shortage ?? 'More connections did not make the result more exact. The other notes tell why.'
  }

  #result(source: ConnectionSource, rounds: Rounds | undefined, incomplete?: string): MeasuredPath {
    const { notOpened, name, side, address } = source
    const observations = rounds?.observations ?? []
    const circumstances: Circumstances = {
      upTo: this.#search.upTo,
      notOpened,
      notIdle: rounds?.notIdle ?? { count: 0, quietFor: 0 },
      ...(incomplete !== undefined && { incomplete }),
    }
    const { notes, ...found } = interpret(observations, circumstances)
    const rtts = [...source.rtts].sort((a, b) => a - b)
    return {
      name,
      side,
      ...(address !== undefined && { address }),
      http: this.#options.http ?? false,
      ...found,
      ...(rtts.length > 0 && {
        rtt: { min: rtts[0]!, median: rtts[rtts.length >> 1]!, max: rtts.at(-1)! },
      }),
      complete: incomplete === undefined,
      took: Math.round(performance.now() - this.#startedAt),
      notes,
      observations,
    }
  }

  #progress(source: ConnectionSource, rounds: Rounds, observation?: Observation): void {
    const { observations, endsAt } = rounds
    const { atLeast, atMost } = bracketOf(observations)
    const isLimited = atMost < Number.POSITIVE_INFINITY
    const ofRound = Math.max(0, endsAt - performance.now())
    const isWaiting = source.open === 0 && source.side === 'server' && observations.length === 0
    this.#report({
      doing: isWaiting ? 'waiting' : isLimited ? 'narrowing' : 'searching',
      open: source.open,
      ...(!isWaiting && {
        timeLeft: isLimited ? Math.max(ofRound, timeLeft(observations, this.#search)) : ofRound,
      }),
      ...(isLimited && { idleLimit: { atLeast, atMost } }),
      ...(observation && { observation }),
    })
  }

  #report(progress: Omit<MeasureProgress, 'elapsed'>): void {
    const { onProgress } = this.#options
    if (!onProgress) return
    // A listener that throws must not break the measurement.
    queueMicrotask(() => onProgress({ ...progress, elapsed: performance.now() - this.#startedAt }))
  }
}

function endedAtOnce(name: string, outcome: 'close' | 'reset'): DeadpeerError {
  return outcome === 'reset'
    ? new DeadpeerError(
        'ECONNRESET',
        `Cannot measure ${name}: it resets each connection at once (ECONNRESET).`,
      )
    : new DeadpeerError('ERR_NOT_KEPT', `Cannot measure ${name}: it closes each connection at once.`)
}

import { type InspectOptions, inspect } from 'node:util'
import { Agent, type buildConnector, Client, type Dispatcher } from 'undici'
import { refuseShortTimes } from '../http/options.js'
import { printCounts, type Snapshot } from '../http/statistics.js'
import { watcherOf, watchOrDestroy } from '../http/watching.js'
import { checkMixedOptions, trueOrFalse } from '../options/check.js'
import { AgentStatistics } from './agent-statistics.js'
import { connector, mustBeUndici, onConnection } from './connector.js'
import { countingHandler } from './handler.js'
import { type AgentOptions, agentOptions, agentTimes } from './options.js'
import { isRepeatable } from './repeatable.js'

/** What {@link createAgent} returns: an `Agent` of undici that counts its connections and requests. */
export interface CountingAgent extends Dispatcher {
  /**
   * The statistics of its connections and requests so far. A request that `retryStale` repeats counts once, by the outcome of its second attempt.
   * With undici 6 and HTTP/2, reused connections are not recognized.
   */
  snapshot(): Snapshot
  /** `compose` of undici. The result also has {@link CountingAgent.snapshot}. */
  compose(interceptors: readonly Dispatcher.DispatcherComposeInterceptor[]): CountingDispatcher
  compose(...interceptors: Dispatcher.DispatcherComposeInterceptor[]): CountingDispatcher
}

/** The result of `compose` of a {@link CountingAgent}. */
export type CountingDispatcher = Dispatcher.ComposedDispatcher & Pick<CountingAgent, 'snapshot'>

/**
 * Creates an `Agent` of undici that tunes and watches its connections and keeps statistics of them. Use it like any dispatcher:
 * `request(url, { dispatcher })` or `setGlobalDispatcher`, which also applies to Node's built-in `fetch`. It uses the program's undici 6, 7 or 8.
 *
 * @throws {@link InvalidTypeError} for bad options, also those of {@link watch}; undici's errors for its own options; the errors of
 * {@link tune} for a profile; `ERR_UNSUPPORTED_PLATFORM` in Bun, which replaces undici.
 * @example
 * ```ts
 * setGlobalDispatcher(createAgent({ profile: 'datacenter', retryStale: true }))
 * await fetch('http://backend.internal/')
 * ```
 */
export function createAgent(options: AgentOptions = {}): CountingAgent {
  mustBeUndici()
  const { profile = 'cloud', watch, retryStale = false, learn = true, ...rest } = checkOptions(options)
  // undici refuses bad options here, also those that are not passed on below.
  Reflect.construct(Agent, [rest])
  const watcher = watcherOf(watch)
  const tuned = connector(profile, typeof rest.connect === 'function' ? rest.connect : connectOptions(rest))
  const statistics = new AgentStatistics(socketPathOf(rest), learn)
  const connect = onConnection(tuned, (socket, where) => {
    if (watcher) watchOrDestroy(watcher, socket)
    statistics.opening(socket, where)
  })
  return new OurAgent({ ...rest, connect }, statistics, retryStale)
}

function socketPathOf({ socketPath, connect }: Agent.Options): unknown {
  return socketPath ?? (connect as { socketPath?: unknown } | null | undefined)?.socketPath
}

function checkOptions(given: AgentOptions): AgentOptions {
  const options = checkMixedOptions(given, agentOptions)
  refuseShortTimes(options, agentTimes)
  // The string 'false' from a configuration must not turn retries on.
  if (options.retryStale !== undefined) trueOrFalse(options.retryStale, 'retryStale')
  if (options.learn !== undefined) trueOrFalse(options.learn, 'learn')
  return options
}

/** The options that a `Client` passes to its default connector. */
const connecting = [
  'allowH2',
  'preferH2',
  'useH2c',
  'maxCachedSessions',
  'socketPath',
  'autoSelectFamily',
  'autoSelectFamilyAttemptTimeout',
] as const

function connectOptions(options: Agent.Options): buildConnector.BuildOptions {
  const { connectTimeout, connect } = options
  const given: Record<string, unknown> = { ...options }
  const taken = connecting.filter((name) => given[name] !== undefined).map((name) => [name, given[name]])
  const timeout = connectTimeout === undefined ? {} : { timeout: connectTimeout }
  return { ...Object.fromEntries(taken), ...timeout, ...(connect as object | undefined) }
}

/** A symbol, as undici uses for its own state. `compose` of undici 7 and 8 creates a Proxy, and private members cannot be read through one. */
const state = Symbol('deadpeer.state')

interface State {
  readonly statistics: AgentStatistics
  readonly retryStale: boolean
  /** The options of a client that repeats a request. */
  readonly clientOptions: Client.Options
  /** One client for each request that is being repeated. */
  readonly repeating: Map<Client, Promise<void>>
  isClosing: boolean
}

class OurAgent extends Agent {
  readonly [state]: State

  constructor(options: Agent.Options, statistics: AgentStatistics, retryStale: boolean) {
    super(options)
    const { factory, connections, interceptors, ...clientOptions } = options as Record<string, unknown>
    statistics.agent = this
    this[state] = { statistics, retryStale, clientOptions, repeating: new Map(), isClosing: false }
  }

  snapshot(): Snapshot {
    return this[state].statistics.snapshot()
  }

  /** What `console.log` shows: the counts of all origins together. */
  [inspect.custom](_depth: number, options: InspectOptions, print: typeof inspect): string {
    return printCounts(this, 'Agent of createAgent()', options, print)
  }

  override dispatch(options: Agent.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    // undici reports the error.
    if (!isObject(options) || !isObject(handler)) return super.dispatch(options, handler)
    const repeat = (again: Dispatcher.DispatchHandler) => repeatOn(this, options, again)
    const { retryStale, statistics } = this[state]
    const mayRepeat = retryStale && isRepeatable(options)
    const attempt = statistics.begin(options)
    return super.dispatch(options, countingHandler(handler, attempt, mayRepeat ? repeat : undefined))
  }

  // biome-ignore lint/suspicious/noExplicitAny: with a callback or a promise
  override close(...args: unknown[]): any {
    this[state].isClosing = true
    return Reflect.apply(super.close, this, args)
  }

  /** undici also calls it after `close`. Then requests that are being repeated must be able to finish. */
  // biome-ignore lint/suspicious/noExplicitAny: with a callback or a promise
  override destroy(...args: unknown[]): any {
    const { isClosing, repeating } = this[state]
    if (isClosing && args.length === 0) return settled(repeating).then(() => super.destroy())
    // Without an error, undici creates its own.
    const error = args[0] instanceof Error ? args[0] : null
    for (const client of repeating.keys()) void client.destroy(error)
    return Reflect.apply(super.destroy, this, args)
  }

  // biome-ignore lint/suspicious/noExplicitAny: undici's own types differ between its versions
  override compose(...interceptors: any[]): any {
    const composed = super.compose(...interceptors)
    // undici 6 creates another dispatcher, which has only undici's own methods.
    return 'snapshot' in composed ? composed : withSnapshot(this, composed)
  }
}

/** Adds `snapshot` to a dispatcher, and to those that are composed of it. */
// biome-ignore lint/suspicious/noExplicitAny: undici's own types differ between its versions
function withSnapshot(agent: OurAgent, dispatcher: any): any {
  const { compose } = dispatcher
  return Object.assign(dispatcher, {
    snapshot: () => agent.snapshot(),
    compose: (...interceptors: unknown[]) =>
      withSnapshot(agent, Reflect.apply(compose, dispatcher, interceptors)),
  })
}

async function settled(repeating: ReadonlyMap<Client, Promise<void>>): Promise<void> {
  while (repeating.size > 0) await Promise.all(repeating.values())
}

/** Repeats a request with a new client, which opens a new connection: another idle one may be gone too. */
function repeatOn(
  agent: OurAgent,
  options: Agent.DispatchOptions,
  handler: Dispatcher.DispatchHandler,
): void {
  const { clientOptions, repeating, statistics } = agent[state]
  const client = new Client(options.origin as string | URL, clientOptions)
  client.dispatch(
    options as Dispatcher.DispatchOptions,
    countingHandler(handler, statistics.attempt(options)),
  )
  const done = () => void repeating.delete(client)
  repeating.set(client, client.close().then(done, done))
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

import { InvalidTypeError } from '../../errors.js'
import {
  abortSignal,
  callback,
  checkOptions,
  milliseconds,
  type Options,
  text,
  trueOrFalse,
  whole,
} from '../../options/check.js'
import { idleTimes, measuringConnections, ports } from '../../options/ranges.js'
import type { IdleLimit, Observation } from '../measured-path.js'

/** What {@link measure} measures, and how. Give `host` and `port`, or `listen`. */
export interface MeasureOptions {
  /** The host to connect to: a name or an address. All connections go to the first of its addresses that takes one. */
  readonly host?: string
  /** The port to connect to: 1 … 65 535. */
  readonly port?: number
  /**
   * Measure from the listening side: accept connections on this port, 1 … 65 535. At the other end run `measure({ host, port })`, which then only
   * opens the connections. Any client that opens connections and keeps them idle will do as well.
   */
  readonly listen?: number
  /** The longest idle time to try, in ms: 2 000 … 86 400 000. Default: 600 000. */
  readonly upTo?: number
  /** How many connections are idle at the same time: 2 … 60. Default: 12. More of them shorten the measurement. */
  readonly connections?: number
  /** Open TLS on each connection. The certificate is not checked. Default: `false`. */
  readonly tls?: boolean
  /** Send a HEAD request on each connection first, so that an HTTP/1.1 server keeps it. Default: `false`. */
  readonly http?: boolean
  /** Ends the measurement. The promise then resolves to what is known so far, with `complete: false`. */
  readonly signal?: AbortSignal
  /** Called twice a second, and after each observation. An error that it throws is an uncaught exception. Default: none. */
  readonly onProgress?: (progress: MeasureProgress) => void
}

/** How far a measurement is. Times in ms. */
export interface MeasureProgress {
  /**
   * `waiting`: for connections from the other side. `searching`: no connection has expired yet. `narrowing`: the limit becomes more exact, and probes are
   * tried. `holding`: the other side measures, and this one only opens connections.
   */
  readonly doing: 'waiting' | 'searching' | 'narrowing' | 'holding'
  /** Time since the start. */
  readonly elapsed: number
  /** The longest time that the rest takes. While `searching`: if there is no limit. Left out while `waiting` and `holding`. */
  readonly timeLeft?: number
  /** Connections that are open now. */
  readonly open: number
  /** The limit as far as it is known. Left out while no connection has expired. */
  readonly idleLimit?: IdleLimit
  /** The new observation, if that is the reason for the call. */
  readonly observation?: Observation
}

const measureOptions: Options<MeasureOptions> = {
  of: 'measure()',
  example: "{ host: 'db.example.com', port: 5432 }",
  checks: {
    host: text,
    port: whole(ports),
    listen: whole(ports),
    upTo: milliseconds(idleTimes),
    connections: whole(measuringConnections),
    tls: trueOrFalse,
    http: trueOrFalse,
    signal: abortSignal,
    onProgress: callback,
  },
  otherNames: { hostname: 'host', address: 'host', max: 'upTo', timeout: 'upTo', until: 'upTo' },
}

/** @throws {@link InvalidTypeError}, {@link OutOfRangeError} for bad options. */
export function checkMeasureOptions(options: MeasureOptions): MeasureOptions {
  const checked = checkOptions(options, measureOptions)
  const { host, port, listen, tls, http } = checked
  if (listen === undefined && (host === undefined || port === undefined)) {
    throw new InvalidTypeError(
      `measure() needs host and port, or listen; got ${host === undefined ? (port === undefined ? 'none of them' : 'port only') : 'host only'}.`,
      { field: host === undefined ? 'host' : 'port' },
    )
  }
  if (listen !== undefined && (host !== undefined || port !== undefined || tls || http)) {
    throw new InvalidTypeError(
      'measure() with listen does not take host, port, tls or http. Leave them out, or leave out listen.',
      { field: 'listen' },
    )
  }
  return checked
}

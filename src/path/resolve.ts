import { InvalidTypeError, OutOfRangeError } from '../errors.js'
import {
  anything,
  checkOptions,
  describe,
  type Options,
  refuseSeconds,
  suggestTime,
  timeOrNever,
  typed,
} from '../options/check.js'
import { nearest } from '../options/nearest.js'
import { catalogue, type HopName } from './catalogue.js'
import type { AnswersProbes, Hop, OwnHop } from './hop.js'
import { inWords } from './in-words.js'
import { isMeasured, type MeasuredPath, measuredHop } from './measured-path.js'

/** The hops from the client to the server: names, hops of your own, and results of {@link measure}. A name that is not in the catalogue throws when the path is used. */
export type Path = readonly (HopName | (string & {}) | OwnHop | MeasuredPath)[]

/**
 * Looks up and completes the hops of a path.
 *
 * @throws {@link InvalidTypeError} for an unknown hop; {@link OutOfRangeError} for a time that the hop cannot have.
 */
export function resolvePath(path: Path): Hop[] {
  if (Array.isArray(path)) return path.map(resolveHop)
  throw new InvalidTypeError(`path must be an array of hops such as ['aws-nlb']; got ${describe(path)}.`, {
    field: 'path',
  })
}

function resolveHop(hop: string | OwnHop | MeasuredPath): Hop {
  if (typeof hop === 'string') return known(hop) ?? unknown(hop)
  if (typeof hop !== 'object' || hop === null || typeof hop.name !== 'string' || hop.name === '') {
    throw new InvalidTypeError(
      `A hop must be the name of a hop in the catalogue or { name, idleTimeout }; got ${describe(hop)}.`,
      { field: 'path' },
    )
  }
  if (isMeasured(hop)) return measuredHop(hop)
  const checked = isComplete(hop) ? hop : checkOptions(hop, ownHop)
  const row = known(checked.name)
  return row ? setOtherwise(row, checked) : own(checked)
}

function known(name: string): Hop | undefined {
  return Object.hasOwn(catalogue(), name) ? catalogue()[name as HopName] : undefined
}

function unknown(name: string): never {
  const near = nearest(name, Object.keys(catalogue()))
  const hint =
    near.length > 0
      ? `Did you mean ${near.join(' or ')}?`
      : 'Pass a hop of your own as { name, idleTimeout }.'
  throw new InvalidTypeError(`Unknown hop '${name}'. ${hint}`, { field: 'path' })
}

function setOtherwise(
  row: Hop,
  { name, idleTimeout, upstreamTimeout, layer = row.layer, answersProbes }: OwnHop,
): Hop {
  if (layer !== row.layer) {
    throw new OutOfRangeError(`layer of ${name} must be ${row.layer}; got ${String(layer)}.`, {
      field: 'layer',
    })
  }
  // Devices differ where the catalogue is uncertain, so any time is possible.
  const range = row.range ?? (row.certainty === 'uncertain' ? anyTime : undefined)
  checkSetting(name, 'idleTimeout', idleTimeout, range, row.idleTimeout)
  // A timeout that the caller sets is not an estimate of the catalogue.
  const { certainty, ...withoutCertainty } = row
  const isEstimate = certainty === 'uncertain' && idleTimeout === row.idleTimeout
  const ends = row.onExpiry === 'nothing' ? 'close' : row.onExpiry
  const set: Hop = {
    ...(isEstimate || certainty !== 'uncertain' ? row : withoutCertainty),
    idleTimeout,
    onExpiry: idleTimeout === Number.POSITIVE_INFINITY ? 'nothing' : ends,
    ...(answersProbes !== undefined && { answersProbes }),
  }
  if (upstreamTimeout === undefined) return set
  const upstream = row.upstream ?? row
  checkSetting(name, 'upstreamTimeout', upstreamTimeout, upstream.range, upstream.idleTimeout)
  return { ...set, upstream: { ...upstream, idleTimeout: upstreamTimeout } }
}

/** Every time that a hop of your own may have, ms. */
const anyTime = [1, Number.POSITIVE_INFINITY] as const

function own({ name, idleTimeout, upstreamTimeout, layer = 4, answersProbes = 'yes' }: OwnHop): Hop {
  if (layer !== 4 && layer !== 7) {
    throw new OutOfRangeError(`layer of ${name} must be 4 or 7; got ${String(layer)}.`, { field: 'layer' })
  }
  const range = anyTime
  checkOwnTime(name, 'idleTimeout', idleTimeout)
  if (upstreamTimeout !== undefined) checkOwnTime(name, 'upstreamTimeout', upstreamTimeout)
  const never = idleTimeout === Number.POSITIVE_INFINITY
  return {
    name,
    title: name,
    layer,
    ...(layer === 7 && { protocol: 'http' }),
    idleTimeout,
    range,
    ...(upstreamTimeout !== undefined && { upstream: { idleTimeout: upstreamTimeout, range } }),
    onExpiry: never ? 'nothing' : layer === 7 ? 'close' : 'silent',
    endsTcp: layer === 7,
    probesCount: layer === 4,
    answersProbes,
  }
}

function checkSetting(name: string, field: string, value: number, range: Hop['range'], usual: number): void {
  checkTime(name, field, value)
  if (value === usual) return
  if (!range) {
    throw new OutOfRangeError(
      `${field} of ${name} must be ${inWords(usual)}, because it is fixed; got ${inWords(value)}.`,
      {
        field,
      },
    )
  }
  const [least, most] = range
  if (value >= least && value <= most) return
  const hint = suggestTime(value, (ms) => ms >= least && ms <= most)
  throw new OutOfRangeError(
    `${field} of ${name} must be ${inWords(least)} to ${inWords(most)}; got ${inWords(value)}.${hint}`,
    { field },
  )
}

function checkOwnTime(name: string, field: string, value: unknown): void {
  checkTime(name, field, value)
  refuseSeconds(value, `${field} of ${name}`, 'No device drops an idle connection that early.', { field })
}

function checkTime(name: string, field: string, value: unknown): void {
  timeOrNever(value, field, `${field} of ${name}`)
}

const answers: readonly unknown[] = ['yes', 'no', 'unreliable'] satisfies AnswersProbes[]

const ownHop: Options<OwnHop> = {
  of: 'a hop',
  noun: 'field',
  called: 'A hop',
  example: "{ name: 'nat', idleTimeout: 350_000 }",
  field: 'path',
  checks: {
    name: anything,
    idleTimeout: anything,
    upstreamTimeout: anything,
    layer: anything,
    answersProbes: typed("'yes', 'no' or 'unreliable'", (value) => answers.includes(value)),
  },
}

/** Whether it is a hop of the catalogue or of `plan().path`. Those have more fields than an `OwnHop` may have. */
function isComplete(hop: object): boolean {
  return 'onExpiry' in hop && 'endsTcp' in hop
}

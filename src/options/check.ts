import { type ErrorDetails, InvalidTypeError, OutOfRangeError } from '../errors.js'
import { isSlipOf, nearestOnly, plainName } from './nearest.js'
import { parseTime } from './time.js'

/**
 * Checks one option. Called with `undefined` only if it is required: an undefined option counts as left out.
 *
 * @param field `field` of the error.
 * @param name what the message calls it. Default: `field`.
 */
export type Check = (value: unknown, field: string, name?: string) => void

/** An options object: whose it is, and how each option is checked. */
export interface Options<T extends object> {
  /** As error messages have it: `probe()`, `a heartbeat`, `a profile`. */
  readonly of: string
  /** What an entry is called. Default: `option`. */
  readonly noun?: string
  /** What errors about the object as a whole call it: `A profile`. Default: `The options of …`. */
  readonly called?: string
  /** For such an error: `{ attempts: 3 }`. */
  readonly example: string
  /** `field` of that error. Default: `options`. */
  readonly field?: string
  /** One for every option. `anything` where the value is checked elsewhere. */
  readonly checks: Readonly<Record<keyof T & string, Check>>
  /** Those that cannot be left out. */
  readonly required?: readonly (keyof T & string)[]
  /** What people call an option elsewhere, in lower case and without `_` and `-`. */
  readonly otherNames?: Readonly<Record<string, keyof T & string>>
}

/**
 * Checks an options object: that it is one, that every name in it is known, and every value.
 *
 * @param prefix what stands before each name in messages and in `field`: `traffic.`.
 * @returns the object that was passed.
 * @throws {@link InvalidTypeError}, {@link OutOfRangeError}, with the option's name as `field`.
 */
export function checkOptions<T extends object>(given: unknown, options: Options<T>, prefix = ''): T {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    const { of, example, field = 'options', called = `The options of ${of}` } = options
    throw new InvalidTypeError(`${called} must be an object such as ${example}, not ${describe(given)}.`, {
      field,
    })
  }
  const checks: Readonly<Record<string, Check>> = options.checks
  for (const name of Object.keys(given)) {
    const value = (given as Record<string, unknown>)[name]
    if (value === undefined) continue
    if (!Object.hasOwn(checks, name)) throw unknownName(name, options, prefix)
    checks[name]!(value, `${prefix}${name}`)
  }
  const { required = [] } = options
  for (const name of required) {
    if ((given as Partial<T>)[name] === undefined) checks[name]!(undefined, `${prefix}${name}`)
  }
  return given as T
}

function unknownName<T extends object>(name: string, options: Options<T>, prefix: string): InvalidTypeError {
  const { of, checks, noun = 'option', otherNames = {} } = options
  const names = Object.keys(checks)
  const plain = plainName(name.replace(/^(so|tcp|ip|ipv6)_/i, ''))
  const meant = Object.hasOwn(otherNames, plain) ? [otherNames[plain]!] : nearestOnly(name, names)
  const known =
    names.length === 1 ? `Its only ${noun} is \`${names[0]}\`.` : `Its ${noun}s are ${quoted(names, ', ')}.`
  const hint = meant.length > 0 ? `Did you mean ${quoted(meant, ' or ')}?` : known
  return new InvalidTypeError(`Unknown ${noun} \`${name}\` of ${of}. ${hint}`, {
    field: `${prefix}${name}`,
  })
}

function quoted(names: readonly string[], separator: string): string {
  return names.map((name) => `\`${name}\``).join(separator)
}

/** Options of ours in an object that also has the options of Node or of a library. */
export interface MixedOptions {
  /** As error messages have it: `HttpAgent`. */
  readonly of: string
  /** Ours. */
  readonly own: readonly string[]
  /** Theirs, as far as they are known here. */
  readonly others: readonly string[]
  /** What people call one of ours elsewhere, in lower case and without `_` and `-`. */
  readonly otherNames?: Readonly<Record<string, string>>
}

/**
 * Refuses names that are a slip of a known one, or an old name. Other names pass: Node and libraries add options with each version, and an
 * object of theirs may carry what its owner reads from it later.
 *
 * @throws {@link InvalidTypeError}, with the option's name as `field`.
 */
export function checkMixedOptions(given: object, { of, own, others, otherNames = {} }: MixedOptions): void {
  const known = [...own, ...others]
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || known.includes(name)) continue
    const plain = plainName(name)
    const meant = Object.hasOwn(otherNames, plain)
      ? otherNames[plain]
      : known.find((each) => isSlipOf(name, each))
    if (meant === undefined) continue
    throw new InvalidTypeError(`Unknown option \`${name}\` of ${of}. Did you mean \`${meant}\`?`, {
      field: name,
    })
  }
}

/** For an option that is checked where it is used. */
export const anything: Check = () => {}

/** `true` or `false`. */
export const trueOrFalse = typed('true or false', (value) => typeof value === 'boolean')

/** A text that is not empty. */
export const text = typed("a text such as 'database'", (value) => typeof value === 'string' && value !== '')

/** A function. */
export const callback = typed('a function', (value) => typeof value === 'function')

/** An `AbortSignal`. */
export const abortSignal = typed('an AbortSignal', (value) => value instanceof AbortSignal)

/** What is told apart by its type alone. */
export function typed(wanted: string, is: (value: unknown) => boolean, constant?: string): Check {
  return (value, field, name = field) => {
    if (is(value)) return
    const { label, details } = naming(field, name, constant)
    throw new InvalidTypeError(`${label} is ${describe(value)}; it must be ${wanted}.`, details)
  }
}

/** An object within the object, such as `traffic` of `plan()`. */
export function object<T extends object>(options: Omit<Options<T>, 'field' | 'called'>): Check {
  return (value, field) => {
    checkOptions(value, { ...options, field, called: field }, `${field}.`)
  }
}

/** Which numbers an option takes. */
export interface Range {
  readonly min: number
  /** Default: none, as long as the number is finite; of whole numbers, as long as it is exact. */
  readonly max?: number
  /** What is counted: `requests`. */
  readonly unit?: string
  /** Why it cannot be less or more. */
  readonly why?: string
  /** The kernel's name of the option, such as `TCP_USER_TIMEOUT`. */
  readonly constant?: string
}

/** A whole number within a range. */
export function whole(range: Range): Check {
  const unit = range.unit === undefined ? '' : ` of ${range.unit}`
  return inRange(range, `a whole number${unit} ${fromTo(range)}`, Number.isSafeInteger)
}

/** A number within a range, fractions included. */
export function number(range: Range): Check {
  return inRange(range, `a number ${fromTo(range)}`, Number.isFinite)
}

function fromTo({ min, max }: Range): string {
  return max === undefined ? `from ${min}` : `from ${min} to ${max}`
}

/** Which times an option takes, in ms. */
export interface TimeRange extends Omit<Range, 'unit'> {
  readonly max: number
  /** The kernel's unit in ms: 1000 if it counts whole seconds. Default: 1. */
  readonly step?: number
}

/** A time in whole ms, or in whole seconds. */
export function milliseconds(range: TimeRange): Check {
  const { min, max, step = 1 } = range
  const wanted = `whole ${step === 1_000 ? 'seconds' : 'milliseconds'}, from ${min} to ${max} ms`
  return inRange(range, wanted, (value) => Number.isInteger(value) && value % step === 0, ' ms')
}

/** A finite time in ms, above 0, fractions included. */
export const finiteTime = inRange(
  { min: Number.MIN_VALUE },
  'more than 0, and finite',
  Number.isFinite,
  ' ms',
)

/** A time in ms, above 0, fractions and `Infinity` included. */
export const timeOrNever = inRange({ min: Number.MIN_VALUE }, 'more than 0', () => true, ' ms')

/** A time below this, in ms, is usually meant in seconds. */
export const MEANS_SECONDS = 100

/**
 * Refuses a time from 1 to 99 ms: seconds are passed for milliseconds more often than such a time is wanted.
 *
 * @param name the option, in words.
 * @param instead how to have such a time all the same.
 * @throws {@link OutOfRangeError}
 */
export function refuseSeconds(value: unknown, name: string, instead: string, details: ErrorDetails): void {
  if (typeof value !== 'number' || value <= 0 || value >= MEANS_SECONDS) return
  throw new OutOfRangeError(
    `${name} is ${value} ms; less than ${MEANS_SECONDS} ms is refused, because it is usually meant in seconds. ` +
      `Did you mean ${literal(value * 1_000)}? ${instead}`,
    details,
  )
}

/** @param unit what follows a number in a message. */
function inRange(
  range: Range,
  wanted: string,
  fits: (value: number) => boolean,
  unit: '' | ' ms' = '',
): Check {
  const { min, max = Number.POSITIVE_INFINITY, why, constant } = range
  const isTaken = (value: number) => value >= min && value <= max && fits(value)
  const must = `it must be ${wanted}${why === undefined ? '' : `: ${why}`}.`
  return (value, field, name = field) => {
    if (typeof value === 'number' && isTaken(value)) return
    const { label, details } = naming(field, name, constant)
    const hint = unit === '' ? '' : suggestTime(value, isTaken)
    if (typeof value !== 'number') {
      throw new InvalidTypeError(`${label} is ${describe(value)}; ${must}${hint}`, details)
    }
    throw new OutOfRangeError(`${label} is ${value}${unit}; ${must}${hint}`, details)
  }
}

/** For the end of a message about a time that is refused: ` Did you mean 30_000?`, or nothing. */
export function suggestTime(value: unknown, isTaken: (ms: number) => boolean): string {
  const meant = timesMeantBy(value).find(isTaken)
  return meant === undefined ? '' : ` Did you mean ${literal(meant)}?`
}

/** What may have been meant by a time that is refused, in ms, the likeliest first: seconds, or a text such as '30s'. */
function timesMeantBy(value: unknown): number[] {
  if (typeof value === 'number') return value > 0 && value < 1_000 ? [value * 1_000] : []
  if (typeof value !== 'string') return []
  const withUnit = parseTime(value)
  if (withUnit !== undefined) return [withUnit]
  const bare = parseTime(`${value}ms`)
  if (bare === undefined) return []
  return bare < MEANS_SECONDS ? [bare * 1_000, bare] : [bare, bare * 1_000]
}

/** As it is written in a program: 30_000. */
export function literal(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, '_')
}

function naming(field: string, name: string, constant: string | undefined): Naming {
  return constant === undefined
    ? { label: name, details: { field } }
    : { label: `${name} (${constant})`, details: { field, constant } }
}

interface Naming {
  readonly label: string
  readonly details: ErrorDetails
}

/** A value in words, for messages. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'string' ? `'${value}', a string` : `of type ${typeof value}`
}

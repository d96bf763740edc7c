import { type ErrorDetails, InvalidTypeError, OutOfRangeError } from '../errors.js'
import { isMisspellingOf, nearestOnly, plainName } from './nearest.js'
import { parseTime } from './time.js'
import { tryOr } from './try-or.js'

/**
 * Checks one option. An `undefined` value counts as left out, so the check sees `undefined` only for a required option. It returns nothing, or
 * a checked copy to use instead of the value.
 *
 * @param field `field` of the error.
 * @param name the option's name in the message. Default: `field`.
 */
// biome-ignore lint/suspicious/noConfusingVoidType: most checks return nothing
export type Check = (value: unknown, field: string, name?: string) => object | void

/** An options object: the function or object that takes it, and a check for each option. */
export interface Options<T extends object> {
  /** In error messages: `probe()`, `a heartbeat`, `a profile`. */
  readonly of: string
  /** The word for one entry. Default: `option`. */
  readonly noun?: string
  /** The name of the whole object in error messages: `A profile`. Default: `The options of …`. */
  readonly called?: string
  /** For the error about the whole object: `{ attempts: 3 }`. */
  readonly example: string
  /** `field` of that error. Default: `options`. */
  readonly field?: string
  /** One check for every option; `anything` if the value is checked elsewhere. */
  readonly checks: Readonly<Record<keyof T & string, Check>>
  /** Options that cannot be left out. */
  readonly required?: readonly (keyof T & string)[]
  /** Names of an option in other APIs, in lower case and without `_` and `-`. */
  readonly otherNames?: Readonly<Record<string, keyof T & string>>
}

/**
 * Checks that a value is an object, that every name in it is known, and that every value is valid. Each value is read once, because a getter
 * may return another value the next time. Inherited options count.
 *
 * @param prefix precedes each name in messages and in `field`: `traffic.`.
 * @returns a copy with the options that are not `undefined`.
 * @throws {@link InvalidTypeError}, {@link OutOfRangeError}, with the option's name as `field`.
 */
export function checkOptions<T extends object>(given: unknown, options: Options<T>, prefix = ''): T {
  if (!isOptionsObject(given)) {
    const { of, example, field = 'options', called = `The options of ${of}` } = options
    throw new InvalidTypeError(mustBe(called, `an object such as ${example}`, describe(given)), { field })
  }
  const checks: Readonly<Record<string, Check>> = options.checks
  const copy: Record<string, unknown> = {}
  for (const name of namesOf(given, checks)) {
    const value = given[name]
    if (value === undefined) continue
    if (Object.hasOwn(checks, name)) copy[name] = checks[name]!(value, `${prefix}${name}`) ?? value
    else if (Object.hasOwn(given, name) || typeof value !== 'function') {
      throw unknownName(name, options, prefix)
    }
  }
  const { required = [] } = options
  for (const name of required) if (!(name in copy)) checks[name]!(undefined, `${prefix}${name}`)
  return copy as T
}

/** Whether options can be read from a value. A Map, a Date or a Promise is refused: all options would seem to be left out. */
export function isOptionsObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false
  const tag = Object.prototype.toString.call(value)
  // `import * as options` is a module.
  return tag === '[object Object]' || tag === '[object Module]'
}

/** The names in an object: own, inherited (except from Object.prototype), and options that a class defines as getters. */
function namesOf(given: object, checks: object): Set<string> {
  const names = new Set<string>()
  for (const name in given) {
    if (Object.hasOwn(given, name) || !Object.hasOwn(Object.prototype, name)) names.add(name)
  }
  for (const name of Object.keys(checks)) names.add(name)
  return names
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

/** An object with options of this package and options of Node or of a library. */
export interface MixedOptions {
  /** In error messages: `HttpAgent`. */
  readonly of: string
  /** For the error about the whole object. */
  readonly example: string
  /** The options of this package. */
  readonly own: readonly string[]
  /** The other options that are known here. */
  readonly others: readonly string[]
  /** Names of an own option in other APIs, in lower case and without `_` and `-`. */
  readonly otherNames?: Readonly<Record<string, string>>
  /** Names of this package that are no options here, in the same form, and what to do instead. */
  readonly elsewhere?: Readonly<Record<string, string>>
}

/**
 * Refuses misspellings of a known name, names from other APIs, and names of this package that are no options here. Other names pass: Node and
 * libraries add options with each version, and the owner of such an object may read more from it later.
 *
 * @returns a copy with its own properties, as Node copies options, and the options of this package, inherited ones too.
 * @throws {@link InvalidTypeError}, with the option's name as `field`.
 */
export function checkMixedOptions<T extends object>(given: T, options: MixedOptions): T {
  const { of, own, others, otherNames = {}, elsewhere = {} } = options
  if (!isOptionsObject(given)) {
    const got = describe(given)
    throw new InvalidTypeError(mustBe('options', `an object such as ${options.example}`, got), {
      field: 'options',
    })
  }
  const copy: Record<string, unknown> = { ...given }
  for (const name of own) if (!Object.hasOwn(copy, name) && name in given) copy[name] = given[name]
  const known = [...own, ...others]
  for (const [name, value] of Object.entries(copy)) {
    if (value === undefined || known.includes(name)) continue
    const plain = plainName(name)
    if (Object.hasOwn(elsewhere, plain)) {
      throw new InvalidTypeError(`${of} does not take the option \`${name}\`. ${elsewhere[plain]}`, {
        field: name,
      })
    }
    const meant = Object.hasOwn(otherNames, plain)
      ? otherNames[plain]
      : known.find((each) => isMisspellingOf(name, each))
    if (meant === undefined) continue
    throw new InvalidTypeError(`Unknown option \`${name}\` of ${of}. Did you mean \`${meant}\`?`, {
      field: name,
    })
  }
  return copy as T
}

/** For an option that is checked elsewhere. */
export const anything: Check = () => {}

/** `true` or `false`. */
export const trueOrFalse = typed('true or false', (value) => typeof value === 'boolean')

/** A string that is not empty. */
export const text = typed(
  "a string such as 'database'",
  (value) => typeof value === 'string' && value.trim() !== '',
)

/** A function. */
export const callback = typed('a function', (value) => typeof value === 'function')

/** An `AbortSignal`. */
export const abortSignal = typed('an AbortSignal', (value) => value instanceof AbortSignal)

/** A value of a certain type. */
export function typed(wanted: string, is: (value: unknown) => boolean, constant?: string): Check {
  return (value, field, name = field) => {
    if (is(value)) return
    const { label, details } = naming(field, name, constant)
    throw new InvalidTypeError(mustBe(label, wanted, describe(value)), details)
  }
}

/** An object within the object, such as `traffic` of `plan()`. */
export function object<T extends object>(options: Omit<Options<T>, 'field' | 'called'>): Check {
  return (value, field) => checkOptions(value, { ...options, field, called: field }, `${field}.`)
}

/** The numbers that an option takes. */
export interface Range {
  readonly min: number
  /** Default: any finite number; for whole numbers, any that is exact. */
  readonly max?: number
  /** What the number counts: `requests`. */
  readonly unit?: string
  /** The reason for the range. */
  readonly why?: string
  /** The kernel's name of the option, such as `TCP_USER_TIMEOUT`. */
  readonly constant?: string
}

/** A whole number within a range. */
export function whole(range: Range): Check {
  const unit = range.unit === undefined ? '' : ` of ${range.unit}`
  return inRange(range, `a whole number${unit}${rangeWords(range)}`, Number.isSafeInteger)
}

/** A number within a range, fractions included. */
export function number(range: Range): Check {
  return inRange(range, `a number${rangeWords(range)}`, Number.isFinite)
}

/** ` from 1 to 127`, `, 1 or greater`, or ` above 0`: follows a noun. */
export function rangeWords(
  { min, max }: Pick<Range, 'min' | 'max'>,
  words: (bound: number) => string = String,
): string {
  if (min === Number.MIN_VALUE) return ' above 0'
  return max === undefined ? `, ${words(min)} or greater` : ` from ${words(min)} to ${words(max)}`
}

/** The times that an option takes, in ms. */
export interface TimeRange extends Omit<Range, 'unit'> {
  readonly max: number
  /** The kernel's unit in ms: 1000 if it counts whole seconds. Default: 1. */
  readonly step?: number
}

/** A time in whole ms, or in whole seconds. */
export function milliseconds(range: TimeRange): Check {
  const { step = 1 } = range
  const wanted = `whole ${step === 1_000 ? 'seconds' : 'milliseconds'}${rangeWords(range)} ms`
  return inRange(range, wanted, (value) => Number.isInteger(value) && value % step === 0, ' ms')
}

/** A finite time in ms above 0, fractions included. */
export const finiteTime = inRange({ min: Number.MIN_VALUE }, 'a finite time above 0', Number.isFinite, ' ms')

/** A time in ms above 0, fractions and `Infinity` included. */
export const timeOrNever = inRange({ min: Number.MIN_VALUE }, 'a time above 0', () => true, ' ms')

/** A time in ms below this is usually a mistake: the caller meant seconds. */
export const MEANS_SECONDS = 100

/**
 * Refuses a time from 1 to 99 ms: the caller usually meant seconds.
 *
 * @param name the option, in words.
 * @param instead tells how to set such a time anyway.
 * @throws {@link OutOfRangeError}
 */
export function refuseSeconds(value: unknown, name: string, instead: string, details: ErrorDetails): void {
  if (typeof value !== 'number' || value <= 0 || value >= MEANS_SECONDS) return
  throw new OutOfRangeError(
    `${name} must not be a time below ${MEANS_SECONDS} ms, which is usually meant in seconds; got ${value} ms. ` +
      `Did you mean ${literal(value * 1_000)}? ${instead}`,
    details,
  )
}

/** @param unit follows a number in a message. */
function inRange(
  range: Range,
  wanted: string,
  fits: (value: number) => boolean,
  unit: '' | ' ms' = '',
): Check {
  const { min, max = Number.POSITIVE_INFINITY, why, constant } = range
  const isTaken = (value: number) => value >= min && value <= max && fits(value)
  const wantedAndWhy = why === undefined ? wanted : `${wanted} (${why})`
  return (value, field, name = field) => {
    if (typeof value === 'number' && isTaken(value)) return
    const { label, details } = naming(field, name, constant)
    const hint = unit === '' ? '' : suggestTime(value, isTaken)
    if (typeof value !== 'number') {
      throw new InvalidTypeError(mustBe(label, wantedAndWhy, describe(value)) + hint, details)
    }
    throw new OutOfRangeError(mustBe(label, wantedAndWhy, `${value}${unit}`) + hint, details)
  }
}

/** The message for a value that is refused: what is accepted, and what was passed. */
export function mustBe(label: string, wanted: string, got: string): string {
  return `${label} must be ${wanted}; got ${got}.`
}

/** The end of the message for a refused time: ` Did you mean 30_000?`, or nothing. */
export function suggestTime(value: unknown, isTaken: (ms: number) => boolean): string {
  const meant = timesMeantBy(value).find(isTaken)
  return meant === undefined ? '' : ` Did you mean ${literal(meant)}?`
}

/** The times in ms that the caller may have meant by a refused value, the likeliest first. Callers pass seconds, or a string such as '30s'. */
function timesMeantBy(value: unknown): number[] {
  // From 900 to 999 the caller means 1 s: off by one, or rounded.
  if (typeof value === 'number' && value >= 900 && value < 1_000) return [1_000]
  if (typeof value === 'number') return value > 0 && value < 1_000 ? [value * 1_000] : []
  if (typeof value !== 'string') return []
  const withUnit = parseTime(value)
  if (withUnit !== undefined) return [withUnit]
  const bare = parseTime(`${value}ms`)
  if (bare === undefined) return []
  return bare < MEANS_SECONDS ? [bare * 1_000, bare] : [bare, bare * 1_000]
}

/** A number as in source code: 30_000. */
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

/** `a Map`, `a Promise`, or `an object`. */
function describeObject(value: object): string {
  const tag = tryOr(() => Object.prototype.toString.call(value).slice('[object '.length, -1), 'Object')
  return tag === 'Object' ? 'an object' : `${/^[AEIOU]/.test(tag) ? 'an' : 'a'} ${tag}`
}

/** A value in words, for messages. */
export function describe(value: unknown): string {
  if (Array.isArray(value)) return 'an array'
  switch (typeof value) {
    case 'string':
      return `'${value}', a string`
    case 'object':
      return value === null ? 'null' : describeObject(value)
    case 'function':
    case 'symbol':
      return `a ${typeof value}`
    case 'bigint':
      return `${value}n, a bigint`
    default:
      return String(value)
  }
}

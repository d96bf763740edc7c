import { type Range, rangeWords } from '../../options/check.js'
import { duration, durationText } from './duration.js'
import { mustBe } from './invalid-argument.js'

// Parsers of arguments that take a number. The ranges are those of the library's options, where there is such an option.

type Parse = (text: string) => number

type Bounds = Pick<Range, 'min' | 'max'>

/** A whole number without sign, blank or exponent. */
export function wholeNumberArgument(range: Bounds): Parse {
  return (text) => {
    const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
    if (isIn(range, number) && Number.isSafeInteger(number)) return number
    throw mustBe(`a whole number${rangeWords(range)}`)
  }
}

/** A number, with or without a fraction. */
export function numberArgument(range: Bounds): Parse {
  return (text) => {
    const number = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
    if (isIn(range, number)) return number
    throw mustBe(`a number${rangeWords(range)}`)
  }
}

export interface TimeArgumentRange extends Bounds {
  /** 1 for whole milliseconds, 1000 for whole seconds. Default: any fraction. */
  readonly step?: number
}

/** A time with a unit, in ms. */
export function timeArgument(range: TimeArgumentRange): Parse {
  const { step } = range
  const what = step === undefined ? 'a time' : step === 1 ? 'whole milliseconds' : 'whole seconds'
  const wanted = `${what}${rangeWords(range, durationText)}`
  return (text) => {
    const ms = duration(text)
    if (isIn(range, ms) && (step === undefined || ms % step === 0)) return ms
    throw mustBe(wanted)
  }
}

function isIn({ min, max = Number.POSITIVE_INFINITY }: Bounds, number: number): boolean {
  return number >= min && number <= max
}

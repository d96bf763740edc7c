import { InvalidArgumentError } from 'commander'

/**
 * The error that the parser of an argument throws. `firstLine` in terminal.ts adds the option and the value:
 * `--count must be …; got 'x'. Did you mean …?`
 *
 * @param wanted what is accepted, without a full stop.
 */
export function mustBe(wanted: string, hint = ''): InvalidArgumentError {
  return new InvalidArgumentError(`must be ${wanted}${hint === '' ? '' : `. ${hint}`}`)
}

import { InvalidArgumentError } from 'commander'
import type { SocketState } from '../../host/index.js'
import { socketStates } from '../../kernel/sock-diag.js'
import { duration } from './duration.js'
import { connectionStates } from './selection.js'
import { shortTime, stateWords } from './socket-words.js'

export function pidArgument(text: string): number {
  return wholeWithin(text, 1, 0x7fffffff, 'A process id is a whole number from 1.')
}

export function portArgument(text: string): number {
  return wholeWithin(text, 1, 65_535, 'A port is a whole number from 1 to 65535.')
}

export function attemptsArgument(text: string): number {
  return wholeWithin(text, 1, 100, 'It is a whole number from 1 to 100.')
}

/** How often to look: a host with tens of thousands of sockets takes 20 ms to list. */
export function everyArgument(text: string): number {
  const ms = duration(text)
  if (ms >= 100 && ms <= 86_400_000) return ms
  throw new InvalidArgumentError('It is a time from 100ms to 1d.')
}

/** How long one attempt waits. */
export function attemptTimeoutArgument(text: string): number {
  const ms = duration(text)
  if (Number.isInteger(ms) && ms >= 1 && ms <= 60_000) return ms
  throw new InvalidArgumentError('It is a time from 1ms to 60s, in whole ms.')
}

/** How long to wait for something: 0s is not at all. */
export function pauseArgument(text: string): number {
  const ms = duration(text)
  if (ms <= 86_400_000) return ms
  throw new InvalidArgumentError('It is a time up to 1d.')
}

/** A time within limits, in ms. */
export function timeWithin(least: number, most: number): (text: string) => number {
  return (text) => {
    const ms = duration(text)
    if (ms >= least && ms <= most) return ms
    throw new InvalidArgumentError(`It is a time from ${shortTime(least)} to ${shortTime(most)}.`)
  }
}

/** A number within limits, with or without a fraction. */
export function numberArgument(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
    if (number >= least && number <= most) return number
    throw new InvalidArgumentError(`It is a number from ${least} to ${most}.`)
  }
}

/** The kernel keeps 15 bytes of a process's name: a longer one would never be met. */
const LONGEST_NAME = 15

/** Names of processes, collected: as `ps -o comm` has them. */
export function processArgument(text: string, before: readonly string[] = []): readonly string[] {
  const length = Buffer.byteLength(text)
  if (length > 0 && length <= LONGEST_NAME) return [...new Set([...before, text])]
  throw new InvalidArgumentError(`A process's name has 1 to ${LONGEST_NAME} bytes, as in ps -o comm.`)
}

/** A whole number within limits, as one types it: no sign, no blank, no exponent. */
export function wholeWithin(text: string, least: number, most: number, complaint: string): number {
  const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (number >= least && number <= most) return number
  throw new InvalidArgumentError(complaint)
}

/** States, collected: by ss's name or RFC 9293's, in any case; `all`; `connected`, which is the default. */
export function stateArgument(text: string, before: readonly SocketState[] = []): readonly SocketState[] {
  const name = text.toLowerCase()
  if (name === 'all') return socketStates
  if (name === 'connected') return [...new Set([...before, ...connectionStates])]
  const state = socketStates.find((each) => each === name || stateWords[each].toLowerCase() === name)
  if (state) return [...new Set([...before, state])]
  throw new InvalidArgumentError(`A state is one of ${socketStates.join(', ')}, or all.`)
}

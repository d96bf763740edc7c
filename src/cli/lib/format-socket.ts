import type { SocketEnd, SocketOwner, SocketRecord, SocketState } from '../../host/index.js'
import type { Profile, Verdict } from '../../index.js'
import type { Style } from './terminal.js'

// A socket's values as a table shows them, after ss(8).

/** The names that ss uses. */
export const stateWords: Readonly<Record<SocketState, string>> = {
  established: 'ESTAB',
  'syn-sent': 'SYN-SENT',
  'syn-recv': 'SYN-RECV',
  'fin-wait-1': 'FIN-WAIT-1',
  'fin-wait-2': 'FIN-WAIT-2',
  'time-wait': 'TIME-WAIT',
  'close-wait': 'CLOSE-WAIT',
  'last-ack': 'LAST-ACK',
  listen: 'LISTEN',
  closing: 'CLOSING',
}

export const verdictStyles: Readonly<Record<Verdict, Style | undefined>> = {
  alive: undefined,
  unknown: 'busy',
  suspect: 'warning',
  dead: 'bad',
  closing: 'faint',
}

export function endWords({ address, port }: SocketEnd): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port === 0 ? '*' : port}`
}

/** keepalive 1m52s ×2: the timer, the time until it fires, and how many probes or retransmissions went unanswered. */
export function timerWords({ timer, expires, retries }: SocketRecord): string {
  if (timer === 'off' || timer === undefined) return '-'
  return `${timer} ${shortTime(expires ?? 0)}${retries > 0 ? ` ×${retries}` : ''}`
}

export function ownerWords(owners: readonly SocketOwner[]): string {
  return owners.map(({ pid, command, fd }) => `${printable(command)}(${pid}:${fd})`).join(' ') || '-'
}

/** Without control characters, which a process may have in its name, and which a terminal would obey. */
export function printable(name: string): string {
  return name.replaceAll(/\p{C}/gu, '?')
}

/** 60s/5s/3, or off. */
export function keepaliveWords({ enable, initialDelay, interval, count }: Profile): string {
  if (!enable) return 'off'
  return `${shortTime(initialDelay ?? 0)}/${shortTime(interval ?? 0)}/${count}`
}

export function userTimeoutWords({ userTimeout = 0 }: Profile): string {
  return userTimeout === 0 ? 'off' : shortTime(userTimeout)
}

const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const

/** A time in ms in at most two units, rounded down: 250ms, 4.2s, 1m52s, 3h5m, 2d. */
export function shortTime(ms: number): string {
  if (ms === Number.POSITIVE_INFINITY) return 'never'
  if (ms < 1_000) return `${Math.trunc(ms)}ms`
  if (ms < 60_000) return `${Math.trunc(ms / 100) / 10}s`
  const at = units.findIndex(([, unit]) => ms >= unit)
  const [[name, unit], next] = [units[at]!, units[at + 1]!]
  const rest = Math.trunc((ms % unit) / next[1])
  return `${Math.trunc(ms / unit)}${name}${rest > 0 ? `${rest}${next[0]}` : ''}`
}

/** 512 B, 14.5 kB, 34 MB. */
export function byteWords(n: number): string {
  const [size, unit] =
    n < 10_000 ? [n, 'B'] : n < 1e6 ? [n / 1e3, 'kB'] : n < 1e9 ? [n / 1e6, 'MB'] : [n / 1e9, 'GB']
  return `${size.toLocaleString('en', { maximumFractionDigits: 1, useGrouping: false })} ${unit}`
}

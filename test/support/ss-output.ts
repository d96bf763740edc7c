import type { SocketState, SocketTimer } from '../../src/host/index.js'

/** A socket as `ss -tanoeimO` prints it. */
export interface SsSocket {
  readonly state: SocketState
  readonly receiveQueue: number
  readonly sendQueue: number
  readonly local: string
  readonly remote: string
  readonly cookie: string
  readonly timer: SocketTimer
  /** ms, as exact as ss is: between these. */
  readonly expires: readonly [number, number] | undefined
  readonly retries: number
  readonly uid: number
  readonly inode: number
  /** What else it prints, by its name in ss; what stands alone (`ts`) with no text. */
  readonly words: ReadonlyMap<string, string>
}

const states: Record<string, SocketState> = {
  ESTAB: 'established',
  'SYN-SENT': 'syn-sent',
  'SYN-RECV': 'syn-recv',
  'FIN-WAIT-1': 'fin-wait-1',
  'FIN-WAIT-2': 'fin-wait-2',
  'TIME-WAIT': 'time-wait',
  'CLOSE-WAIT': 'close-wait',
  'LAST-ACK': 'last-ack',
  LISTEN: 'listen',
  CLOSING: 'closing',
}

const timers: Record<string, SocketTimer> = {
  on: 'retransmit',
  keepalive: 'keepalive',
  timewait: 'time-wait',
  persist: 'window-probe',
  // The delayed acknowledgement came to the kernel after ss 6.1.
  unknown: 'delayed-ack',
}

export function parseSs(output: string): SsSocket[] {
  return output.trim().split('\n').map(parseLine)
}

function parseLine(line: string): SsSocket {
  const [state = '', receiveQueue, sendQueue, local = '', remote = '', ...rest] = line.trim().split(/\s+/)
  const words = new Map(rest.join(' ').replace(rates, '$1:').split(' ').map(split))
  const [, timer = '', expires = '', retries] = /^\((\w+),(.*),(\d+)\)$/.exec(words.get('timer') ?? '') ?? []
  return {
    state: states[state] ?? fail(line),
    receiveQueue: Number(receiveQueue),
    sendQueue: Number(sendQueue),
    local,
    remote,
    cookie: BigInt(`0x${words.get('sk')}`).toString(),
    timer: words.has('timer') ? (timers[timer] ?? fail(line)) : 'off',
    expires: words.has('timer') ? duration(expires) : undefined,
    retries: Number(retries ?? 0),
    uid: Number(words.get('uid') ?? 0),
    inode: Number(words.get('ino')),
    words,
  }
}

/** Those that have a space before their value. */
const rates = /\b(send|pacing_rate|delivery_rate) /g

function split(word: string): [string, string] {
  const [, name = word, text = ''] = /^([^:]+):(.*)$/.exec(word) ?? []
  return [name, text]
}

/** 9min59sec, 12sec (cut off), 1.400ms (1 s 400 ms), 616ms. */
function duration(text: string): [number, number] {
  if (text === '' || text === '0ms') return [0, 0]
  const [, minutes, seconds, , ms] = /^(?:(\d+)min)?(?:(\d+)(sec|\.))?(?:(\d+)ms)?$/.exec(text) ?? fail(text)
  const least = Number(minutes ?? 0) * 60_000 + Number(seconds ?? 0) * 1_000 + Number(ms ?? 0)
  // From 10 s on milliseconds are left out, and from 10 min on seconds.
  const cut = least >= 600_000 ? 60_000 : least >= 10_000 || minutes ? 1_000 : 0
  return [least, least + cut]
}

function fail(text: string): never {
  throw new Error(`ss: ${text}`)
}

import { borrowSocket, type SocketEnd } from '../../../host/index.js'
import { DeadpeerError, type Inspection, inspect, type TcpInfo, TcpState } from '../../../index.js'
import { addressBytes } from '../../../kernel/address.js'
import { socketStates } from '../../../kernel/sock-diag.js'
import { optionNames, optionTable } from '../../../kernel/socket-options.js'
import { silentFor } from '../../../kernel/tcp-info.js'
import { type TimeLeft, timeLeft } from '../../../profile/time-left.js'
import { connectionJson } from '../../lib/connection-json.js'
import {
  byteWords,
  endWords,
  ownerWords,
  shortTime,
  stateWords,
  timerWords,
  verdictStyles,
} from '../../lib/format-socket.js'
import { borrow, type Connection, checkProcess, selectConnections } from '../../lib/selection.js'
import { columns } from '../../lib/table.js'
import { complain, paint, write } from '../../lib/terminal.js'
import { Misuse } from '../../lib/usage.js'
import type { ConnectionName } from './connection-argument.js'

/** What is known about a connection. The kernel does not list dead connections, and another user's options cannot be read. */
type Known =
  | { readonly connection: Connection; readonly read: Inspection | undefined }
  | { readonly connection: undefined; readonly read: Inspection }

/** Prints everything about one connection. Returns the exit code: 1 if the peer does not respond or is gone. */
export async function inspectCommand(
  name: ConnectionName,
  { json }: { readonly json?: boolean },
  signal: AbortSignal,
): Promise<number> {
  const known = await find(name, signal)
  const { verdict, evidence } = known.connection
    ? known.connection
    : { verdict: known.read.verdict!, evidence: known.read.evidence }
  const info = known.connection?.record.info ?? known.read?.info
  const left = leftOf(known, info)
  if (json) write(JSON.stringify(toJson(known, info, left), undefined, 2))
  else {
    write(
      `${paint(title(known), 'strong')}  ${paint(`${verdict}: ${evidence}`, verdictStyles[verdict] ?? 'good')}`,
    )
    showOptions(known)
    if (info) showCounters(known, info, left)
  }
  return verdict === 'suspect' || verdict === 'dead' ? 1 : 0
}

async function find(name: ConnectionName, signal: AbortSignal): Promise<Known> {
  if ('pid' in name) return byDescriptor(name, signal)
  const connection = 'port' in name ? await byPort(name.port, signal) : await byEnds(name, signal)
  return { connection, read: read(connection) }
}

async function byDescriptor({ pid, fd }: { pid: number; fd: number }, signal: AbortSignal): Promise<Known> {
  checkProcess(pid)
  const socket = borrowSocket(pid, fd)
  const listed = await selectConnections({ pid }, socketStates, signal)
  const connection = listed.find(({ record }) => record.cookie === socket.cookie)
  return { connection, read: inspect(socket) }
}

async function byEnds(
  { local, remote }: { local: SocketEnd; remote: SocketEnd },
  signal: AbortSignal,
): Promise<Connection> {
  const listed = await selectConnections({ port: local.port, prefix: local.address }, socketStates, signal)
  const found = listed.find(({ record }) => isEnd(record.local, local) && isEnd(record.remote, remote))
  if (found) return found
  throw new Misuse(
    `there is no connection ${endWords(local)} → ${endWords(remote)} in this network namespace`,
  )
}

/** Compares addresses in any spelling: ::1 is 0:0:0:0:0:0:0:1. */
function isEnd(end: SocketEnd, meant: SocketEnd): boolean {
  return end.port === meant.port && String(addressBytes(end.address)) === String(addressBytes(meant.address))
}

/** The only connection with that port. A local port is tried first, because on loopback both ends are on this host; a listener comes last. */
async function byPort(port: number, signal: AbortSignal): Promise<Connection> {
  const listed = await selectConnections({ port }, socketStates, signal)
  const connected = listed.filter(({ record }) => record.state !== 'listen')
  const choices = [connected.filter(({ record }) => record.local.port === port), connected, listed]
  const only = choices.find((choice) => choice.length === 1)?.[0]
  if (only) return only
  if (listed.length === 0) throw new Misuse(`no connection has the port ${port} in this network namespace`)
  throw new Misuse(
    `${listed.length} connections have the port ${port}. Name one by <pid>:<fd> or <local>-<remote>, as in deadpeer ls --port ${port} --state all`,
  )
}

function read(connection: Connection): Inspection | undefined {
  try {
    return inspect(borrow(connection))
  } catch (error) {
    if (!(error instanceof DeadpeerError)) throw error
    complain(`the options cannot be read. ${error.message}`)
    return undefined
  }
}

function leftOf({ connection, read }: Known, info: TcpInfo | undefined): TimeLeft | undefined {
  if (!read || !info) return undefined
  return timeLeft(info, read.profile, connection?.record, read.defaults)
}

function toJson(known: Known, info: TcpInfo | undefined, left: TimeLeft | undefined) {
  const { connection, read } = known
  return {
    ...(connection
      ? connectionJson({ ...connection, profile: read?.profile })
      : {
          state: unlistedState(info),
          verdict: read.verdict,
          evidence: read.evidence,
          profile: read.profile,
        }),
    equalsDefault: read?.equalsDefault,
    pending: read?.pending,
    timeLeft: left,
    info,
  }
}

/** The state of a connection that is not listed: CLOSE, or any state in another network namespace. */
function unlistedState(info: TcpInfo | undefined): string {
  const [name = 'close'] = Object.entries(TcpState).find(([, state]) => state === info?.state) ?? []
  return name
    .toLowerCase()
    .replaceAll('_', '-')
    .replace(/(?<=wait)(?=\d)/, '-')
}

function title({ connection, read }: Known): string {
  if (!connection) return unlistedState(read.info).toUpperCase()
  const { record, owners } = connection
  return `${stateWords[record.state]}  ${endWords(record.local)} → ${endWords(record.remote)}  ${ownerWords(owners)}`
}

function showOptions(known: Known): void {
  const { read } = known
  if (!read) return
  const { profile, equalsDefault, defaults } = read
  // The defaults of another network namespace may be unknown.
  const unequal = defaults ? 'set' : ''
  const rows = optionNames.flatMap((name) => {
    const value = profile[name]
    if (value === undefined) return []
    const isTime = optionTable[name].kind === 'ms'
    const text =
      typeof value === 'boolean' ? (value ? 'on' : 'off') : isTime ? timeOrOff(name, value) : String(value)
    return [
      [name, text, optionTable[name].constant, equalsDefault.includes(name) ? "as the system's" : unequal],
    ]
  })
  group('options', rows)
}

function timeOrOff(name: string, ms: number): string {
  return name === 'userTimeout' && ms === 0 ? 'off' : shortTime(ms)
}

function showCounters({ connection }: Known, info: TcpInfo, left: TimeLeft | undefined): void {
  const { state } = info
  if (state === TcpState.LISTEN) {
    group('accept queue', [['waiting', `${info.unacked} of ${info.sacked}`]])
    return
  }
  group('peer', [
    ['last heard', `${shortTime(silentFor(info))} ago`],
    ['last data', `received ${shortTime(info.lastDataRecv)} ago, sent ${shortTime(info.lastDataSent)} ago`],
    ...(connection ? [['timer', timerWords(connection.record)]] : []),
    ['unanswered', `${info.probes} probes, ${info.retransmits} retransmissions`],
    ...(left ? [['if it is gone', leftWords(left)]] : []),
  ])
  group('path', [
    [
      'round trip',
      `${ms(info.rtt)} ± ${ms(info.rttvar)}${info.minRtt === undefined ? '' : `, least ${ms(info.minRtt)}`}`,
    ],
    ['retransmission timeout', ms(info.rto)],
    [
      'sent again',
      `${info.totalRetrans} segments${info.bytesRetrans === undefined ? '' : `, ${byteWords(info.bytesRetrans)}`}`,
    ],
    ['congestion window', `${info.sndCwnd} segments of ${byteWords(info.sndMss)}`],
    ['path MTU', byteWords(info.pmtu)],
  ])
  group('traffic', [
    ['sent', `${amount(info.segsOut, 'segments')}, ${amount(info.bytesSent)} of data`],
    ['received', `${amount(info.segsIn, 'segments')}, ${amount(info.bytesReceived)} of data`],
    ['unacknowledged', `${info.unacked} segments`],
    ['not sent yet', amount(info.notsentBytes)],
    ...(connection ? [['not read yet', byteWords(connection.record.receiveQueue)]] : []),
    ['windows', `the peer's ${amount(info.sndWnd)}, ours ${amount(info.rcvWnd)}`],
  ])
}

function leftWords({ ms, isExact, assumed }: TimeLeft): string {
  if (ms === Number.POSITIVE_INFINITY) return 'the death is never noticed: keepalive is off'
  return `the death is noticed ${isExact ? 'in' : 'within'} ${shortTime(ms)}${assumed ? assumedWords(assumed) : ''}`
}

function assumedWords({ retries2, synLinearTimeouts }: NonNullable<TimeLeft['assumed']>): string {
  const sysctl =
    retries2 === undefined ? `tcp_syn_linear_timeouts is ${synLinearTimeouts}` : `tcp_retries2 is ${retries2}`
  return `, if ${sysctl} in its network namespace, which this user cannot read`
}

function group(name: string, rows: readonly (readonly string[])[]): void {
  write()
  write(paint(name, 'strong'))
  for (const line of columns(rows)) write(`  ${line}`)
}

function ms(us: number): string {
  return `${+(us / 1_000).toFixed(3)} ms`
}

/** A value that this kernel does not count is undefined. */
function amount(n: number | undefined, unit?: string): string {
  if (n === undefined) return 'not known'
  return unit ? `${n.toLocaleString('en')} ${unit}` : byteWords(n)
}

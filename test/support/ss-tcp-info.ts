import type { TcpInfo } from '../../src/index.js'

/** A word that ss prints of tcp_info: its name, and the text that follows, or `undefined` where ss leaves it out. */
export interface SsWord {
  readonly name: string
  readonly text: (info: TcpInfo) => string | undefined
}

const ms = (us: number) => significant(us / 1_000)
const whole = (value: number | undefined) => (value ? String(value) : undefined)
const flag = (bit: number) => (info: TcpInfo) => (info.options & bit ? '' : undefined)
const bits = (bytes: number) => `${rounded(bytes * 8, 0)}bps`
const wholeMs = (us: number) => `${Math.floor(us / 1_000)}ms`
const UNLIMITED = 2 ** 64
const LISTEN = 10

/** All of tcp_info that `ss -ti` prints (iproute2 6.1), in its order and by its rules: most of what is 0 is left out. */
export const ssWords: readonly SsWord[] = [
  { name: 'ts', text: flag(1) },
  { name: 'sack', text: flag(2) },
  { name: 'ecn', text: flag(8) },
  { name: 'ecnseen', text: flag(16) },
  { name: 'fastopen', text: flag(32) },
  {
    name: 'wscale',
    text: ({ options, sndWscale, rcvWscale }) => (options & 4 ? `${sndWscale},${rcvWscale}` : undefined),
  },
  // 3 s was the initial value once.
  { name: 'rto', text: ({ rto }) => (rto && rto !== 3_000_000 ? ms(rto) : undefined) },
  { name: 'backoff', text: ({ backoff }) => whole(backoff) },
  { name: 'rtt', text: ({ rtt, rttvar }) => (rtt ? `${ms(rtt)}/${ms(rttvar)}` : undefined) },
  { name: 'ato', text: ({ ato }) => (ato ? ms(ato) : undefined) },
  { name: 'mss', text: ({ sndMss }) => whole(sndMss) },
  { name: 'pmtu', text: ({ pmtu }) => whole(pmtu) },
  { name: 'rcvmss', text: ({ rcvMss }) => whole(rcvMss) },
  { name: 'advmss', text: ({ advmss }) => whole(advmss) },
  { name: 'cwnd', text: ({ sndCwnd }) => whole(sndCwnd) },
  { name: 'ssthresh', text: ({ sndSsthresh }) => (sndSsthresh < 0xffff ? whole(sndSsthresh) : undefined) },
  { name: 'bytes_sent', text: ({ bytesSent }) => whole(bytesSent) },
  { name: 'bytes_retrans', text: ({ bytesRetrans }) => whole(bytesRetrans) },
  { name: 'bytes_acked', text: ({ bytesAcked }) => whole(bytesAcked) },
  { name: 'bytes_received', text: ({ bytesReceived }) => whole(bytesReceived) },
  { name: 'segs_out', text: ({ segsOut }) => whole(segsOut) },
  { name: 'segs_in', text: ({ segsIn }) => whole(segsIn) },
  { name: 'data_segs_out', text: ({ dataSegsOut }) => whole(dataSegsOut) },
  { name: 'data_segs_in', text: ({ dataSegsIn }) => whole(dataSegsIn) },
  { name: 'send', text: sendRate },
  { name: 'lastsnd', text: ({ lastDataSent }) => whole(lastDataSent) },
  { name: 'lastrcv', text: ({ lastDataRecv }) => whole(lastDataRecv) },
  { name: 'lastack', text: ({ lastAckRecv }) => whole(lastAckRecv) },
  { name: 'pacing_rate', text: pacingRate },
  { name: 'delivery_rate', text: ({ deliveryRate }) => (deliveryRate ? bits(deliveryRate) : undefined) },
  { name: 'delivered', text: ({ delivered }) => whole(delivered) },
  { name: 'delivered_ce', text: ({ deliveredCe }) => whole(deliveredCe) },
  { name: 'app_limited', text: ({ deliveryRateAppLimited }) => (deliveryRateAppLimited ? '' : undefined) },
  { name: 'busy', text: ({ busyTime }) => (busyTime ? wholeMs(busyTime) : undefined) },
  { name: 'rwnd_limited', text: ({ rwndLimited, busyTime }) => shareOf(rwndLimited!, busyTime!) },
  { name: 'sndbuf_limited', text: ({ sndbufLimited, busyTime }) => shareOf(sndbufLimited!, busyTime!) },
  { name: 'unacked', text: ({ unacked }) => whole(unacked) },
  {
    name: 'retrans',
    text: ({ retrans, totalRetrans }) => (totalRetrans ? `${retrans}/${totalRetrans}` : undefined),
  },
  { name: 'lost', text: ({ lost }) => whole(lost) },
  { name: 'sacked', text: ({ sacked, state }) => (state === LISTEN ? undefined : whole(sacked)) },
  { name: 'dsack_dups', text: ({ dsackDups }) => whole(dsackDups) },
  { name: 'fackets', text: ({ fackets }) => whole(fackets) },
  { name: 'reordering', text: ({ reordering }) => (reordering === 3 ? undefined : String(reordering)) },
  { name: 'reord_seen', text: ({ reordSeen }) => whole(reordSeen) },
  { name: 'rcv_rtt', text: ({ rcvRtt }) => (rcvRtt ? ms(rcvRtt) : undefined) },
  { name: 'rcv_space', text: ({ rcvSpace }) => whole(rcvSpace) },
  { name: 'rcv_ssthresh', text: ({ rcvSsthresh }) => whole(rcvSsthresh) },
  { name: 'notsent', text: ({ notsentBytes }) => whole(notsentBytes) },
  { name: 'minrtt', text: ({ minRtt }) => (minRtt && minRtt !== 2 ** 32 - 1 ? ms(minRtt) : undefined) },
  { name: 'rcv_ooopack', text: ({ rcvOoopack }) => whole(rcvOoopack) },
  { name: 'snd_wnd', text: ({ sndWnd }) => whole(sndWnd) },
]

/** Those that a newer ss (iproute2 6.7) prints as well. */
export const newerSsWords: readonly SsWord[] = [
  { name: 'rcv_wnd', text: ({ rcvWnd }) => whole(rcvWnd) },
  { name: 'rehash', text: ({ rehash }) => whole(rehash) },
]

function sendRate({ rtt, sndMss, sndCwnd }: TcpInfo): string | undefined {
  return rtt && sndMss && sndCwnd ? `${rounded((sndCwnd * sndMss * 8e6) / rtt, 0)}bps` : undefined
}

function pacingRate({ pacingRate: rate, maxPacingRate: most }: TcpInfo): string | undefined {
  if (!rate || rate === UNLIMITED) return undefined
  return most && most !== UNLIMITED ? `${bits(rate)}/${bits(most)}` : bits(rate)
}

function shareOf(us: number, busy: number): string | undefined {
  return busy && us ? `${wholeMs(us)}(${rounded((100 * us) / busy, 1)}%)` : undefined
}

/** printf's %g, below a million. */
function significant(value: number): string {
  return String(Number(value.toPrecision(6)))
}

/** printf's %.0f and %.1f: as toFixed has it, but what lies just between two goes to the even one. */
function rounded(value: number, digits: 0 | 1): string {
  const doubled = value * 2 * 10 ** digits
  const isBetween = Number.isInteger(value * 2 ** (digits + 1)) && doubled % 2 === 1
  return isBetween && ((doubled - 1) / 2) % 2 === 0
    ? ((doubled - 1) / 2 / 10 ** digits).toFixed(digits)
    : value.toFixed(digits)
}

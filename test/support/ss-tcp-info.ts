import type { TcpInfo } from '../../src/index.js'

/** A word that ss prints of tcp_info: by its name, the text that follows, or `undefined` where ss leaves it out. */
export type SsWord = readonly [name: string, text: (info: TcpInfo) => string | undefined]

const ms = (us: number) => significant(us / 1_000)
const whole = (value: number | undefined) => (value ? String(value) : undefined)
const flag = (bit: number) => (info: TcpInfo) => (info.options & bit ? '' : undefined)
const bits = (bytes: number) => `${rounded(bytes * 8, 0)}bps`
const wholeMs = (us: number) => `${Math.floor(us / 1_000)}ms`
const UNLIMITED = 2 ** 64
const LISTEN = 10

/** All of tcp_info that `ss -ti` prints (iproute2 6.1), in its order and by its rules: most of what is 0 is left out. */
export const ssWords: readonly SsWord[] = [
  ['ts', flag(1)],
  ['sack', flag(2)],
  ['ecn', flag(8)],
  ['ecnseen', flag(16)],
  ['fastopen', flag(32)],
  ['wscale', ({ options, sndWscale, rcvWscale }) => (options & 4 ? `${sndWscale},${rcvWscale}` : undefined)],
  // 3 s was the initial value once.
  ['rto', ({ rto }) => (rto && rto !== 3_000_000 ? ms(rto) : undefined)],
  ['backoff', ({ backoff }) => whole(backoff)],
  ['rtt', ({ rtt, rttvar }) => (rtt ? `${ms(rtt)}/${ms(rttvar)}` : undefined)],
  ['ato', ({ ato }) => (ato ? ms(ato) : undefined)],
  ['mss', ({ sndMss }) => whole(sndMss)],
  ['pmtu', ({ pmtu }) => whole(pmtu)],
  ['rcvmss', ({ rcvMss }) => whole(rcvMss)],
  ['advmss', ({ advmss }) => whole(advmss)],
  ['cwnd', ({ sndCwnd }) => whole(sndCwnd)],
  ['ssthresh', ({ sndSsthresh }) => (sndSsthresh < 0xffff ? whole(sndSsthresh) : undefined)],
  ['bytes_sent', ({ bytesSent }) => whole(bytesSent)],
  ['bytes_retrans', ({ bytesRetrans }) => whole(bytesRetrans)],
  ['bytes_acked', ({ bytesAcked }) => whole(bytesAcked)],
  ['bytes_received', ({ bytesReceived }) => whole(bytesReceived)],
  ['segs_out', ({ segsOut }) => whole(segsOut)],
  ['segs_in', ({ segsIn }) => whole(segsIn)],
  ['data_segs_out', ({ dataSegsOut }) => whole(dataSegsOut)],
  ['data_segs_in', ({ dataSegsIn }) => whole(dataSegsIn)],
  ['send', sendRate],
  ['lastsnd', ({ lastDataSent }) => whole(lastDataSent)],
  ['lastrcv', ({ lastDataRecv }) => whole(lastDataRecv)],
  ['lastack', ({ lastAckRecv }) => whole(lastAckRecv)],
  ['pacing_rate', pacingRate],
  ['delivery_rate', ({ deliveryRate }) => (deliveryRate ? bits(deliveryRate) : undefined)],
  ['delivered', ({ delivered }) => whole(delivered)],
  ['delivered_ce', ({ deliveredCe }) => whole(deliveredCe)],
  ['app_limited', ({ deliveryRateAppLimited }) => (deliveryRateAppLimited ? '' : undefined)],
  ['busy', ({ busyTime }) => (busyTime ? wholeMs(busyTime) : undefined)],
  ['rwnd_limited', ({ rwndLimited, busyTime }) => shareOf(rwndLimited!, busyTime!)],
  ['sndbuf_limited', ({ sndbufLimited, busyTime }) => shareOf(sndbufLimited!, busyTime!)],
  ['unacked', ({ unacked }) => whole(unacked)],
  ['retrans', ({ retrans, totalRetrans }) => (totalRetrans ? `${retrans}/${totalRetrans}` : undefined)],
  ['lost', ({ lost }) => whole(lost)],
  ['sacked', ({ sacked, state }) => (state === LISTEN ? undefined : whole(sacked))],
  ['dsack_dups', ({ dsackDups }) => whole(dsackDups)],
  ['fackets', ({ fackets }) => whole(fackets)],
  ['reordering', ({ reordering }) => (reordering === 3 ? undefined : String(reordering))],
  ['reord_seen', ({ reordSeen }) => whole(reordSeen)],
  ['rcv_rtt', ({ rcvRtt }) => (rcvRtt ? ms(rcvRtt) : undefined)],
  ['rcv_space', ({ rcvSpace }) => whole(rcvSpace)],
  ['rcv_ssthresh', ({ rcvSsthresh }) => whole(rcvSsthresh)],
  ['notsent', ({ notsentBytes }) => whole(notsentBytes)],
  ['minrtt', ({ minRtt }) => (minRtt && minRtt !== 2 ** 32 - 1 ? ms(minRtt) : undefined)],
  ['rcv_ooopack', ({ rcvOoopack }) => whole(rcvOoopack)],
  ['snd_wnd', ({ sndWnd }) => whole(sndWnd)],
]

/** Those that a newer ss (iproute2 6.7) prints as well. */
export const newerSsWords: readonly SsWord[] = [
  ['rcv_wnd', ({ rcvWnd }) => whole(rcvWnd)],
  ['rehash', ({ rehash }) => whole(rehash)],
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

/**
 * The place of a field: offset and width in bytes. For a bit field also its lowest bit, its number of bits, and the minimum length of a tcp_info
 * in which these bits are not padding.
 */
export type Place =
  | readonly [offset: number, width: 1 | 2 | 4 | 8]
  | readonly [offset: number, width: 1, shift: number, bits: number, since?: number]

type Layout = Readonly<Record<string, Place>>

/** Consecutive fields of one width, starting at an offset. */
function fields<Name extends string>(
  offset: number,
  width: 1 | 2 | 4 | 8,
  ...names: Name[]
): Record<Name, Place> {
  const places = names.map((name, i): [Name, Place] => [name, [offset + i * width, width]])
  return Object.fromEntries(places) as Record<Name, Place>
}

/** struct tcp_info (linux/tcp.h). New fields are only added at its end. */
const steady = {
  ...fields(0, 1, 'state', 'caState', 'retransmits', 'probes', 'backoff', 'options'),
  sndWscale: [6, 1, 0, 4],
  rcvWscale: [6, 1, 4, 4],
  deliveryRateAppLimited: [7, 1, 0, 1, 168],
  fastopenClientFail: [7, 1, 1, 2, 240],
  ...fields(8, 4, 'rto', 'ato', 'sndMss', 'rcvMss', 'unacked', 'sacked', 'lost', 'retrans'),
  ...fields(40, 4, 'fackets', 'lastDataSent', 'lastAckSent', 'lastDataRecv', 'lastAckRecv', 'pmtu'),
  ...fields(64, 4, 'rcvSsthresh', 'rtt', 'rttvar', 'sndSsthresh', 'sndCwnd', 'advmss'),
  ...fields(88, 4, 'reordering', 'rcvRtt', 'rcvSpace', 'totalRetrans'),
  ...fields(104, 8, 'pacingRate', 'maxPacingRate', 'bytesAcked', 'bytesReceived'),
  ...fields(136, 4, 'segsOut', 'segsIn', 'notsentBytes', 'minRtt', 'dataSegsIn', 'dataSegsOut'),
  ...fields(160, 8, 'deliveryRate', 'busyTime', 'rwndLimited', 'sndbufLimited'),
  ...fields(192, 4, 'delivered', 'deliveredCe'),
  ...fields(200, 8, 'bytesSent', 'bytesRetrans'),
  ...fields(216, 4, 'dsackDups', 'reordSeen', 'rcvOoopack', 'sndWnd', 'rcvWnd', 'rehash'),
  ...fields(240, 2, 'totalRto', 'totalRtoRecoveries'),
  ...fields(244, 4, 'totalRtoTime', 'receivedCe', 'deliveredE1Bytes', 'deliveredE0Bytes'),
  ...fields(260, 4, 'deliveredCeBytes', 'receivedE1Bytes', 'receivedE0Bytes', 'receivedCeBytes'),
} satisfies Layout

/** Linux 6.18 and 6.19. */
const lastWord = { accecnFailMode: [276, 2], accecnOptSeen: [278, 2] } as const satisfies Layout

/** Linux 7.0 has another layout of the last word, with the same length: ecn_mode:2, accecn_opt_seen:2, accecn_fail_mode:4. */
const lastWordSince7: Record<keyof typeof lastWord, Place> = {
  accecnFailMode: [276, 1, 4, 4],
  accecnOptSeen: [276, 1, 2, 2],
}

type Field = keyof typeof steady | keyof typeof lastWord

/** The places of all fields in tcp_info. `kernel`: its release, as uname(2) reports it. */
export function layoutOf(kernel: string): Readonly<Record<Field, Place>> {
  return { ...steady, ...(Number.parseInt(kernel, 10) >= 7 ? lastWordSince7 : lastWord) }
}

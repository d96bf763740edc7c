/**
 * Where a field lies: offset and width in bytes; of a bit field, the byte it is in, the lowest
 * bit and how many, and the length that a tcp_info has had since those bits are more than padding.
 */
export type Place =
  | readonly [offset: number, width: 1 | 2 | 4 | 8]
  | readonly [offset: number, width: 1, shift: number, bits: number, since?: number]

type Layout = Readonly<Record<string, Place>>

/** struct tcp_info (linux/tcp.h), which only ever grows at its end. */
const steady = {
  state: [0, 1],
  caState: [1, 1],
  retransmits: [2, 1],
  probes: [3, 1],
  backoff: [4, 1],
  options: [5, 1],
  sndWscale: [6, 1, 0, 4],
  rcvWscale: [6, 1, 4, 4],
  deliveryRateAppLimited: [7, 1, 0, 1, 168],
  fastopenClientFail: [7, 1, 1, 2, 240],
  rto: [8, 4],
  ato: [12, 4],
  sndMss: [16, 4],
  rcvMss: [20, 4],
  unacked: [24, 4],
  sacked: [28, 4],
  lost: [32, 4],
  retrans: [36, 4],
  fackets: [40, 4],
  lastDataSent: [44, 4],
  lastAckSent: [48, 4],
  lastDataRecv: [52, 4],
  lastAckRecv: [56, 4],
  pmtu: [60, 4],
  rcvSsthresh: [64, 4],
  rtt: [68, 4],
  rttvar: [72, 4],
  sndSsthresh: [76, 4],
  sndCwnd: [80, 4],
  advmss: [84, 4],
  reordering: [88, 4],
  rcvRtt: [92, 4],
  rcvSpace: [96, 4],
  totalRetrans: [100, 4],
  pacingRate: [104, 8],
  maxPacingRate: [112, 8],
  bytesAcked: [120, 8],
  bytesReceived: [128, 8],
  segsOut: [136, 4],
  segsIn: [140, 4],
  notsentBytes: [144, 4],
  minRtt: [148, 4],
  dataSegsIn: [152, 4],
  dataSegsOut: [156, 4],
  deliveryRate: [160, 8],
  busyTime: [168, 8],
  rwndLimited: [176, 8],
  sndbufLimited: [184, 8],
  delivered: [192, 4],
  deliveredCe: [196, 4],
  bytesSent: [200, 8],
  bytesRetrans: [208, 8],
  dsackDups: [216, 4],
  reordSeen: [220, 4],
  rcvOoopack: [224, 4],
  sndWnd: [228, 4],
  rcvWnd: [232, 4],
  rehash: [236, 4],
  totalRto: [240, 2],
  totalRtoRecoveries: [242, 2],
  totalRtoTime: [244, 4],
  receivedCe: [248, 4],
  deliveredE1Bytes: [252, 4],
  deliveredE0Bytes: [256, 4],
  deliveredCeBytes: [260, 4],
  receivedE1Bytes: [264, 4],
  receivedE0Bytes: [268, 4],
  receivedCeBytes: [272, 4],
} as const satisfies Layout

/** Linux 6.18 and 6.19. */
const lastWord = { accecnFailMode: [276, 2], accecnOptSeen: [278, 2] } as const satisfies Layout

/** Linux 7.0 laid the last word out anew, in the same length: ecn_mode:2, accecn_opt_seen:2, accecn_fail_mode:4. */
const lastWordSince7: Record<keyof typeof lastWord, Place> = {
  accecnFailMode: [276, 1, 4, 4],
  accecnOptSeen: [276, 1, 2, 2],
}

type Field = keyof typeof steady | keyof typeof lastWord

/** The places of all fields in a kernel's tcp_info, by its release as uname(2) tells it. */
export function layoutOf(kernel: string): Readonly<Record<Field, Place>> {
  return { ...steady, ...(Number.parseInt(kernel, 10) >= 7 ? lastWordSince7 : lastWord) }
}

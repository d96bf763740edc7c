import { describe, expect, it } from 'vitest'
import { judge } from '../../src/detect/verdict.js'
import { decodeTcpInfo, type TcpInfo } from '../../src/kernel/tcp-info.js'

const whole = Uint8Array.from({ length: 280 }, (_, i) => i % 7)

describe('decodeTcpInfo', () => {
  it.each([
    [104, ['bytesAcked', 'segsIn', 'notsentBytes', 'sndWnd']],
    [136, ['segsIn', 'segsOut', 'notsentBytes', 'sndWnd']],
    [160, ['sndWnd']],
    [232, []],
    [280, []],
  ])('of %d bytes: what is beyond them is undefined, never 0', (length, missing) => {
    const info = decodeTcpInfo(whole.subarray(0, length))
    const absent = Object.entries(info).filter(([, value]) => value === undefined)
    expect(absent.map(([field]) => field)).toEqual(expect.arrayContaining(missing))
    expect(info.sndWnd === undefined).toBe(length < 232)
    expect(info.totalRetrans).toBeTypeOf('number')
  })

  it('reads fields where the kernel puts them', () => {
    const bytes = new Uint8Array(232)
    const view = new DataView(bytes.buffer)
    view.setUint8(0, 1)
    view.setUint8(3, 5)
    view.setUint32(56, 1234, true)
    view.setBigUint64(120, 2n ** 40n, true)
    view.setUint32(140, 77, true)
    expect(decodeTcpInfo(bytes)).toMatchObject({
      state: 1,
      probes: 5,
      lastAckRecv: 1234,
      bytesAcked: 2 ** 40,
      segsIn: 77,
    })
  })

  it('does not care where in its buffer the bytes begin', () => {
    const shifted = new Uint8Array(300)
    shifted.set(whole, 13)
    expect(decodeTcpInfo(shifted.subarray(13, 293))).toEqual(decodeTcpInfo(whole))
  })

  it('takes no bytes at all', () => {
    expect(new Set(Object.values(decodeTcpInfo(new Uint8Array(0))))).toEqual(new Set([undefined]))
  })
})

describe('judge', () => {
  const established = {
    state: 1,
    retransmits: 0,
    probes: 0,
    lastDataRecv: 4_200,
    lastAckRecv: 9_000,
  } as TcpInfo

  it.each([
    [{}, 'alive', 'silent for 4.2 s'],
    [{ probes: 1 }, 'suspect', '1 probe unanswered, silent for 4.2 s'],
    [{ probes: 2 }, 'suspect', '2 probes unanswered, silent for 4.2 s'],
    [{ retransmits: 3 }, 'suspect', '3 retransmissions unanswered, silent for 4.2 s'],
    [{ state: 8 }, 'closing', 'closing, silent for 4.2 s'],
    [{ state: 8, probes: 1 }, 'suspect', '1 probe unanswered, silent for 4.2 s'],
    [{ state: 7 }, 'dead', 'closed'],
    [{ state: 7, probes: 3 }, 'dead', 'closed by the kernel with 3 probes unanswered'],
    [{ state: 7, retransmits: 1 }, 'dead', 'closed by the kernel after 1 retransmission'],
    [{ state: 2 }, 'alive', 'connecting'],
    [{ state: 2, retransmits: 2 }, 'suspect', 'connecting, 2 SYNs sent again'],
    [{ state: 10 }, 'alive', 'listening'],
  ])('%o: %s, %s', (more, verdict, evidence) => {
    expect(judge({ ...established, ...more })).toEqual({ verdict, evidence })
  })
})

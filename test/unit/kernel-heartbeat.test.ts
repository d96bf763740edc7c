import { describe, expect, it } from 'vitest'
import type { Keepalive } from '../../src/kernel/liveness.js'
import { overlayOf, releaseOverlay, startBeating, stopBeating } from '../../src/overlay/overlay.js'
import { writeOwnOptions } from '../../src/overlay/own-options.js'
import { Firing } from '../../src/probe/firing.js'
import { ModelConnection, modelCore, type Outage } from '../support/keepalive-model.js'

// Heartbeat probes that the kernel sends, tested on a model of its keepalive timer.

const own: Keepalive = { enable: true, initialDelay: 20_000, interval: 5_000, count: 2, userTimeout: 0 }
let lastFd = 1_000

/** A connection that the kernel probes every 2 s, after `lost` probes went unacknowledged. */
function afterLostProbes(lost: number) {
  const fd = ++lastFd
  const outages: Outage[] = [[0, 2_000 * lost + 1_000]]
  const connection = new ModelConnection(own, outages)
  let now = 0
  const core = modelCore(new Map([[fd, connection]]), { enter: () => now })
  const socket = { fd, cookie: BigInt(fd) }
  expect(startBeating(core, socket, 2_000)).toBe(true)
  const passUntil = (end: number) => {
    while (connection.next <= end) connection.happen()
    now = end
  }
  passUntil(2_000 * lost + 500)
  expect(connection.probes).toBe(lost)
  return {
    connection,
    outages,
    core,
    socket,
    passUntil,
    now: () => now,
    overlay: () => overlayOf(socket.cookie)!,
  }
}

describe('probes that the kernel still counts after the peer sent data', () => {
  it.each([{ lost: 1 }, { lost: 3 }])(
    'do not count against the own options when the heartbeat ends: $lost lost',
    ({ lost }) => {
      const { connection, outages, core, socket, passUntil, now, overlay } = afterLostProbes(lost)
      connection.hearData(now())
      expect(stopBeating(core, socket)).toBe(true)
      expect(connection.options).toEqual({ ...own, count: own.count + lost })
      expect(overlay()).toMatchObject({ own, unanswered: lost })
      const heardAt = now()
      outages.push([heardAt, Number.POSITIVE_INFINITY])
      passUntil(heardAt + 100_000)
      // By its own options: 20 s and two intervals of 5 s.
      expect(connection.diedAt - heardAt).toBeGreaterThanOrEqual(30_000)
      expect(connection.diedAt - heardAt).toBeLessThan(30_100)
      releaseOverlay(overlay())
    },
  )

  it('do not count against options that the program writes', () => {
    const { connection, core, socket, now, overlay } = afterLostProbes(1)
    connection.hearData(now())
    writeOwnOptions(core, socket.fd, { count: 3 })
    expect(connection.options.count).toBe(3 + 1)
    expect(overlay()).toMatchObject({ own: { ...own, count: 3 }, unanswered: 1 })
    releaseOverlay(overlay())
  })

  it('leave no overlay behind if there are none', () => {
    const { connection, core, socket, now } = afterLostProbes(1)
    connection.hear(now())
    expect(stopBeating(core, socket)).toBe(false)
    expect(connection.options).toEqual(own)
    expect(overlayOf(socket.cookie)).toBeUndefined()
  })
})

it('does not count probes from before the peer was heard as attempts of a probe session that takes over', () => {
  const { connection, socket, now, overlay } = afterLostProbes(1)
  const { probes } = connection
  connection.hearData(now())
  const sample = {
    state: 1,
    probes,
    retransmits: 0,
    unacked: 0,
    notSent: 0,
    rto: 200,
    dataAt: 0,
    heardAt: now(),
  }
  // The peer was heard 1.5 s ago, and the kernel probes after 2 s.
  const taken = new Firing(socket.cookie, undefined).takeOver({ ...sample, sampledAt: now() + 1_500 })
  expect(taken).toMatchObject({ probes: 0 })
  expect(overlay()).toMatchObject({ unanswered: 1, beating: undefined })
  releaseOverlay(overlay())
})

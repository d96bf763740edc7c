import { expect, it } from 'vitest'
import { certificate } from '../support/certificate.js'
import { hasNamespaces, runInside } from '../support/network-namespace.js'
import { names, type Played, type ServerCounts } from '../support/orderly-closes.mjs'

// The same ways of closing as in test/loopback/orderly-close.test.ts, with the server in another network namespace. A wire in between delays each
// packet, so FIN and RST of each side meet what the other side sent before. DEADPEER_TEST_FULL=1 plays 2,000 each.

const full = process.env.DEADPEER_TEST_FULL !== undefined
const played = full ? { count: 1_000, atOnce: [10, 100] } : { count: 30, atOnce: [10] }

interface Both {
  client: Played
  server: ServerCounts
}

interface Outcome {
  way: string
  atOnce: number
  unwatched: Both
  watched: Both
}

const kinds = ['clientErrors', 'sessionErrors', 'socketErrors'] as const

it.runIf(hasNamespaces).each([1, 2, 4])(
  'reports no death for orderly closes with a round trip of %d ms',
  async (rtt) => {
    const { key, cert } = certificate()
    const settings = { rtt, ...played, key: String(key), cert: String(cert) }
    const output = await runInside('orderly-close.mjs', JSON.stringify(settings))
    const { rtt: measured, outcomes } = JSON.parse(output) as { rtt: number; outcomes: Outcome[] }
    expect(measured).toBeGreaterThanOrEqual(rtt)
    expect(outcomes).toHaveLength(names.length * played.atOnce.length)
    let accepted = 0
    for (const { way, atOnce, unwatched, watched } of outcomes) {
      const label = `${way}, ${atOnce} at once`
      expect(unwatched.client.answered, label).toBe(played.count)
      expect(watched.client.answered, label).toBe(played.count)
      expect(watched.client.deaths, label).toEqual([])
      expect(watched.client.errors, label).toBeLessThanOrEqual(unwatched.client.errors)
      for (const kind of kinds)
        expect(watched.server[kind], `${label}: ${kind}`).toBeLessThanOrEqual(unwatched.server[kind])
      const { connections, watcher } = watched.server
      expect(watched.client.stats, label).toMatchObject({ added: connections, closed: connections, dead: 0 })
      accepted += connections
      expect(watcher, label).toMatchObject({ added: accepted, closed: accepted, dead: 0 })
    }
  },
  600_000,
)

import { networkInterfaces } from 'node:os'
import { sharedState } from '../kernel/shared-state.js'
import type { Endpoint, Endpoints } from './endpoints.js'

/** Whether a path acknowledges keepalive probes: `deaf` paths pass data and no probes. */
export type PathState = 'answers' | 'deaf' | 'unproven'

/** How many destinations are remembered, and for how long, ms. */
const MOST = 1_000
const LONGEST = 3_600_000

interface Known {
  /** When a connection to it last answered a probe, and when one was last found deaf, ms. -Infinity: never. */
  answeredAt: number
  deafAt: number
}

/** The destinations of outgoing connections. The latest is the last. */
const destinations = sharedState('destinations', () => new Map<string, Known>())

/** Remembers what a connection to a destination has shown. `now` in ms. */
export function noteDestination(name: string, state: 'answers' | 'deaf', now: number): void {
  const known = destinations().get(name) ?? {
    answeredAt: Number.NEGATIVE_INFINITY,
    deafAt: Number.NEGATIVE_INFINITY,
  }
  if (state === 'deaf') known.deafAt = now
  else known.answeredAt = now
  destinations().delete(name)
  destinations().set(name, known)
  if (destinations().size > MOST) destinations().delete(destinations().keys().next().value!)
}

/**
 * What the connections to a destination have shown within the last hour. `unproven` if some have answered and others are deaf, as behind a load
 * balancer: a new connection may be one or the other.
 */
export function destinationState(name: string, now: number): PathState {
  const known = destinations().get(name)
  if (!known) return 'unproven'
  const hasAnswered = now - known.answeredAt < LONGEST
  const isDeaf = now - known.deafAt < LONGEST
  if (hasAnswered === isDeaf) return 'unproven'
  return hasAnswered ? 'answers' : 'deaf'
}

/** The name of one end: address and port. The address alone would merge all hosts behind one NAT or load balancer. */
export function endName({ address = '', port = 0 }: Endpoint): string {
  return `${plain(address)}|${port}`
}

/** Whether both ends are on this host. The kernel that sends the probe then answers it too. */
export function isThisHost({ local, remote }: Endpoints): boolean {
  const address = plain(remote.address ?? '')
  return (
    address.startsWith('127.') ||
    address === '::1' ||
    address === plain(local.address ?? '') ||
    ownAddresses().has(address)
  )
}

/** Reading the interfaces takes 0.1 ms, so the list is kept for this long, ms. */
const REFRESH = 10_000
let own: ReadonlySet<string> = new Set()
let readAt = Number.NEGATIVE_INFINITY

function ownAddresses(): ReadonlySet<string> {
  const now = performance.now()
  if (now - readAt < REFRESH) return own
  readAt = now
  const interfaces = Object.values(networkInterfaces())
  own = new Set(interfaces.flatMap((each) => each?.map(({ address }) => address) ?? []))
  return own
}

/** Converts an IPv4-mapped IPv6 address (`::ffff:10.0.0.1`) to IPv4, so that both forms are equal. */
function plain(address: string): string {
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address
}

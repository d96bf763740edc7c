// Uses the types of each entry point as a user's TypeScript does. A type that is not found is `any`, and then an expected error does not occur.
import net from 'node:net'
import type { Death, Inspection, Profile } from 'deadpeer'
import { inspect, probe, tune, watch } from 'deadpeer'
import { listSockets } from 'deadpeer/host'
import { HttpAgent } from 'deadpeer/http'
import { getKeepAliveInterval } from 'deadpeer/net-keepalive'
import { plan } from 'deadpeer/plan'
import { blackHole } from 'deadpeer/testing'
import { createAgent } from 'deadpeer/undici'
import { setGlobalDispatcher } from 'undici'
import 'deadpeer/register'

const profile: Profile = { initialDelay: 10_000, userTimeout: 20_000 }
// @ts-expect-error
const misspelt: Profile = { initialDealy: 10_000 }
const socket = new net.Socket()
tune(socket, profile)
tune(socket, 'cloud')
// @ts-expect-error
tune(socket, 'clowd')
const inspection: Inspection = inspect(socket)
// @ts-expect-error
inspect()
watch({ heartbeat: { every: 1_000 } }).on('dead', (death: Death) =>
  console.log(death.reason, inspection.verdict),
)
// @ts-expect-error
watch({ heartbeat: 1_000 })
export const alive: Promise<boolean | undefined> = probe(socket).then((result) => result.alive)
export const count: Promise<number> = listSockets({ states: ['established'] }).then((list) => list.length)
// @ts-expect-error
void listSockets({ states: ['open'] })
new HttpAgent({ profile: 'datacenter' }).snapshot().total.requests.toFixed()
// @ts-expect-error
new HttpAgent({ profile: 5 })
getKeepAliveInterval(socket).toFixed()
// @ts-expect-error
getKeepAliveInterval()
plan({ path: ['aws-nlb'] }).profile.initialDelay?.toFixed()
// @ts-expect-error
plan({ paths: [] })
blackHole(socket).restore()
// @ts-expect-error
blackHole()
setGlobalDispatcher(createAgent({ profile, retryStale: true }))
// @ts-expect-error
createAgent({ profile: 5 })
void misspelt

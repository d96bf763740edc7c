import type { OptionDefaults } from '../../../host/index.js'
import type { Profile } from '../../../index.js'
import type { Diagnosis } from './diagnosis.js'
import type { NodeVersion } from './node-version.js'

type Trap = Pick<Diagnosis, 'severity' | 'code' | 'message' | 'change'>

/** Ports of HTTPS. On other ports `doctor` cannot tell whether a connection uses TLS. */
const httpsPorts: readonly number[] = [443, 8443]

/** Options of a connection that this version of Node sets by default. Pure. */
export function nodeTraps(
  version: NodeVersion,
  profile: Profile,
  remotePort: number,
  defaults: Pick<OptionDefaults, 'initialDelay' | 'interval' | 'count'>,
): Trap[] {
  const { enable, initialDelay, interval, count } = profile
  if (!enable) {
    return httpsPorts.includes(remotePort) && dropsKeepAlive(version) ? [keepAliveDropped(version)] : []
  }
  if (interval === 1_000 && count === 10) return [initialDelay === 1_000 ? everySecond : oneByTen(version)]
  const isDefault =
    initialDelay === defaults.initialDelay && interval === defaults.interval && count === defaults.count
  return isDefault ? [withoutDelay] : []
}

/** libuv sets both beside the delay. */
function oneByTen(version: NodeVersion): Trap {
  return {
    severity: 'note',
    code: 'node-set-keep-alive',
    message:
      "Node's setKeepAlive has set the interval to 1 s and the count to 10, regardless of the system's defaults. A path that is down for 10 s then ends the connection.",
    change: `${setKeepAliveWords(version)}tune() in the program sets both on every version.`,
  }
}

const everySecond: Trap = {
  severity: 'note',
  code: 'node-agent-keep-alive',
  message:
    "The kernel sends the first probe after 1 s without data, and the count is 10. Node's default http.Agent sets this, and so does an agent with keepAlive and no keepAliveMsecs.",
  change: 'Set keepAliveMsecs for the delay. Call tune() with the agent for interval and count.',
}

function setKeepAliveWords(version: NodeVersion): string {
  if (version === 'unknown') return 'From Node 24.19 and 26.4 on setKeepAlive takes interval and count. '
  return takesInterval(version)
    ? 'Call setKeepAlive({ enable, initialDelay, interval, count }). '
    : `setKeepAlive of Node ${version} takes neither interval nor count. `
}

const withoutDelay: Trap = {
  severity: 'note',
  code: 'node-keep-alive-delay',
  message:
    "Keepalive is on with the system's times, because Node's keepAlive changes them only if the delay is 1 s or more.",
  change: 'Set keepAliveInitialDelay beside keepAlive, or call tune() in the program.',
}

function keepAliveDropped(version: NodeVersion): Trap {
  return {
    severity: 'note',
    code: 'node-tls-keep-alive',
    message: `tls.connect of Node ${version} ignores keepAlive. So a connection of https.Agent has no keepalive during its first request.`,
    change: "Call socket.setKeepAlive() on 'secureConnect', or tune() with the agent.",
  }
}

/** Measured: 20.20 and 22.23 do, 24.21 does not. */
function dropsKeepAlive(version: NodeVersion): boolean {
  const [major] = parts(version)
  return major !== undefined && major < 24
}

function takesInterval(version: NodeVersion): boolean {
  const [major = 0, minor = 0] = parts(version)
  return major > 26 || (major === 26 && minor >= 4) || (major === 24 && minor >= 19)
}

function parts(version: NodeVersion): number[] {
  return version === 'unknown' ? [] : version.split('.').map(Number)
}

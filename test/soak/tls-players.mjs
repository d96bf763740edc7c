import { networkInterfaces } from 'node:os'
import { watch } from '../../dist/index.js'
import { TlsClients } from './tls-clients.mjs'
import { TlsEnds } from './tls-ends.mjs'
import { groups } from './tls-fates.mjs'
import { TlsServers } from './tls-servers.mjs'

// The TLS, HTTPS and HTTP/2 connections of one process: servers for the other process, and clients of its servers.

/** IPv6 may be switched off. */
const addresses = Object.values(networkInterfaces())
  .flat()
  .map(({ address }) => address)
  .filter((address) => address === '127.0.0.1' || address === '::1')

/**
 * @param {{ journal: import('./journal.mjs').Journal, random: () => number, secrets: { key: string, cert: string }, watched: boolean,
 *   isSubject: boolean }} options
 */
export async function startTls({ journal, random, secrets, watched, isSubject }) {
  const watchers = watched && {
    beating: watch({ heartbeat: groups.beating.heartbeat }),
    clocked: watch(),
  }
  const ends = new TlsEnds(journal, watchers || undefined)
  const servers = new TlsServers(ends, random, secrets, isSubject)
  let clients
  return {
    ends,
    ports: await servers.listen(addresses),
    /** @param slots how many connections there may be at a time. */
    connect(ports, slots) {
      clients = new TlsClients(ends, isSubject ? 'out' : 'in', ports, addresses, random, isSubject ? 1 : 0.5)
      clients.start(slots)
    },
    stop: () => clients?.stop(),
    close() {
      servers.close()
      ends.close()
    },
  }
}

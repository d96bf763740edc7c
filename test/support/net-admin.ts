import { once } from 'node:events'
import net from 'node:net'
import { blackHole } from '../../src/testing/index.js'
import { handleOf } from './descriptors.js'
import { leaveOut } from './skip-reason.js'

/** Whether this process may put a filter on a socket; where not, says so once. */
const refusal = await tryFilter()

export const hasNetAdmin = refusal === undefined
if (refusal) leaveOut(`no CAP_NET_ADMIN in the network namespace: ${refusal.message}`)

async function tryFilter(): Promise<Error | undefined> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    blackHole(handleOf(server)!.fd!).restore()
    return undefined
  } catch (error) {
    return error as Error
  } finally {
    server.close()
  }
}

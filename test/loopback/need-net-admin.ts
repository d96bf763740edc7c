import { once } from 'node:events'
import net from 'node:net'
import { handleOf } from '../../src/socket/target.js'
import { blackHole } from '../../src/testing/index.js'

/** Whether this process may put a filter on a socket; where not, says so once. */
export const hasNetAdmin = await tryFilter()

async function tryFilter(): Promise<boolean> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    blackHole(handleOf(server)!.fd!).restore()
    return true
  } catch (error) {
    console.log(`# skipped, needs CAP_NET_ADMIN in the network namespace: ${(error as Error).message}`)
    return false
  } finally {
    server.close()
  }
}

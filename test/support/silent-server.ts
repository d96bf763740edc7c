import {
  type BorrowedSocket,
  borrowSocket,
  listSockets,
  readSocketOwners,
  type SocketRecord,
} from '../../src/host/index.js'
import { inspect } from '../../src/index.js'
import { blackHole } from '../../src/testing/index.js'
import { until } from './until.js'

/**
 * Makes the server's end of a connection vanish, whichever process has it, as soon as neither end has anything unacknowledged.
 *
 * An end that is deaf still sends. An acknowledgement may wait for 40 ms; of one that it no longer hears, it sends the segment again
 * after 0.2 s, then each time after twice as long, and to the client all of these are signs of life. What the client itself has in
 * flight is on another clock than an idle connection.
 */
export async function silence(serverPort: number, clientPort: number): Promise<void> {
  const records = [await findEnd(serverPort, clientPort), await findEnd(clientPort, serverPort)]
  const [server, client] = await borrow(records)
  await until(() => server!.use((fd) => client!.use((other) => deafenIfQuiet(fd, other))))
}

/** One end of an established connection, whichever process has it. */
export async function borrowEnd(localPort: number, remotePort: number): Promise<BorrowedSocket> {
  return (await borrow([await findEnd(localPort, remotePort)]))[0]!
}

async function findEnd(localPort: number, remotePort: number): Promise<SocketRecord> {
  let record: SocketRecord | undefined
  // The kernel establishes a connection before its server accepts it, and only then it has an inode.
  await until(async () => {
    record = [...(await listSockets({ states: ['established'], localPort, remotePort }))][0]
    return record?.inode !== undefined
  })
  return record!
}

async function borrow(records: readonly SocketRecord[]): Promise<BorrowedSocket[]> {
  const owners = await readSocketOwners(records.map(({ inode }) => inode))
  return records.map(({ inode }) => {
    const [owner] = owners.get(inode!) ?? []
    if (!owner) throw new Error(`the owner of inode ${inode} is not to be seen`)
    return borrowSocket(owner.pid, owner.fd)
  })
}

/** Whether the server's end is deaf now. The filter is the socket's, and stays when the descriptor is given back. */
function deafenIfQuiet(server: number, client: number): boolean {
  const isQuiet = () => [server, client].every(hasAllAcknowledged)
  if (!isQuiet()) return false
  const hole = blackHole(server)
  // Something may have been sent between the look and the filter, and its acknowledgement have been lost.
  if (isQuiet()) return true
  hole.restore()
  return false
}

function hasAllAcknowledged(fd: number): boolean {
  const { unacked, notsentBytes } = inspect(fd).info!
  return unacked === 0 && notsentBytes === 0
}

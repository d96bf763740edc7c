import { borrowSocket, listSockets, readSocketOwners } from '../../src/host.js'
import { blackHole } from '../../src/testing/index.js'

/** Makes the server's end of a connection vanish, whichever process has it. */
export async function silence(serverPort: number, clientPort: number): Promise<void> {
  const list = await listSockets({ states: ['established'], localPort: serverPort, remotePort: clientPort })
  const [record] = [...list]
  if (!record) throw new Error(`nobody has the other end of ${clientPort}`)
  const owners = await readSocketOwners([record.inode])
  const [owner] = owners.get(record.inode!) ?? []
  if (!owner) throw new Error(`the owner of inode ${record.inode} is not to be seen`)
  // The filter is the socket's, and stays when the descriptor is given back.
  borrowSocket(owner.pid, owner.fd).use((fd) => blackHole(fd))
}

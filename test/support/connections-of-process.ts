import {
  type BorrowedSocket,
  borrowSocket,
  listSockets,
  readSocketOwners,
  type SocketRecord,
} from '../../src/host/index.js'

export interface Outside {
  readonly record: SocketRecord
  readonly socket: BorrowedSocket
}

/** The established connections of a process, as another process sees them, by the port at their own end. */
export async function connectionsOf(pid: number): Promise<Map<number, Outside>> {
  const list = await listSockets({ states: ['established'] })
  const records = [...list]
  const owners = await readSocketOwners(records.map(({ inode }) => inode))
  const found = new Map<number, Outside>()
  for (const record of records) {
    const owner = owners.get(record.inode!)?.find((each) => each.pid === pid)
    if (owner) found.set(record.local.port, { record, socket: borrowSocket(pid, owner.fd) })
  }
  return found
}

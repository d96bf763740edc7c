export { readSocketOwners, type SocketOwner } from './kernel/processes.js'
export { destroySocket, type SocketAddress, type SocketIdentity } from './kernel/sock-destroy.js'
export { type BorrowedSocket, borrowSocket } from './socket/borrowed.js'

export type { Prefix, SocketFilter } from './host/filter.js'
export { listSockets } from './host/list-sockets.js'
export type {
  SocketEnd,
  SocketFamily,
  SocketList,
  SocketRecord,
  SocketState,
  SocketTimer,
} from './kernel/sock-diag.js'

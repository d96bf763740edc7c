import net from 'node:net'
import { listen } from './connections.js'
import type { RealServer } from './installed-server.js'

/** As much of a Kafka broker as a client needs to log in and to list topics. Debian has no Kafka. */

const METADATA = 3
const API_VERSIONS = 18

/** Kafka's notation of what it sends: big-endian, strings and arrays with their length before them. */
const int16 = (value: number) => {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}
const int32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const string = (value: string) => Buffer.concat([int16(value.length), Buffer.from(value)])
const array = (...items: Buffer[]) => Buffer.concat([int32(items.length), ...items])
const range = (key: number, from: number, to: number) => Buffer.concat([int16(key), int16(from), int16(to)])
const NO_ERROR = int16(0)
const NO_RACK = int16(-1)

export async function startKafkaBroker(advertised: () => number): Promise<RealServer> {
  const sockets = new Set<net.Socket>()

  /** The answer without its length and correlation id. */
  function answerTo(key: number): Buffer {
    if (key === API_VERSIONS) {
      return Buffer.concat([NO_ERROR, array(range(API_VERSIONS, 0, 0), range(METADATA, 1, 1))])
    }
    const broker = Buffer.concat([int32(1), string('127.0.0.1'), int32(advertised()), NO_RACK])
    const topic = Buffer.concat([NO_ERROR, string('topic'), Buffer.from([0]), array()])
    return Buffer.concat([array(broker), int32(1), array(topic)])
  }

  const server = net.createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    let received = Buffer.alloc(0)
    socket.on('data', (data) => {
      received = Buffer.concat([received, data])
      while (received.length >= 4 && received.length >= 4 + received.readInt32BE()) {
        const request = received.subarray(4, 4 + received.readInt32BE())
        received = received.subarray(4 + request.length)
        const correlation = request.subarray(4, 8)
        const body = answerTo(request.readInt16BE())
        socket.write(Buffer.concat([int32(4 + body.length), correlation, body]))
      }
    })
  })
  const port = await listen(server)
  return {
    port,
    async stop() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

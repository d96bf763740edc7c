import { once } from 'node:events'
import net from 'node:net'
import { BSON } from 'mongodb'
import type { RealServer } from './installed-server.js'

// Debian has no MongoDB server. This one speaks as much of the wire protocol as the driver needs to log in without a password and to
// run a command: it answers `hello` and `ping`, and never answers `sleep`.

const OP_REPLY = 1
const OP_QUERY = 2004
const OP_MSG = 2013

export async function startMongoStub(): Promise<RealServer> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    let buffered = Buffer.alloc(0)
    socket.on('data', (data) => {
      buffered = Buffer.concat([buffered, data])
      while (buffered.length >= 16 && buffered.length >= buffered.readInt32LE()) {
        const length = buffered.readInt32LE()
        const answer = answerTo(buffered.subarray(0, length))
        buffered = buffered.subarray(length)
        if (answer) socket.write(answer)
      }
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    port: (server.address() as net.AddressInfo).port,
    async stop() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

function answerTo(message: Buffer): Buffer | undefined {
  const isLegacy = message.readInt32LE(12) === OP_QUERY
  const command = isLegacy ? legacyCommand(message) : BSON.deserialize(message.subarray(21))
  if ('sleep' in command) return undefined
  const document = BSON.serialize({
    isWritablePrimary: true,
    maxBsonObjectSize: 16_777_216,
    maxMessageSizeBytes: 48_000_000,
    maxWriteBatchSize: 100_000,
    minWireVersion: 0,
    maxWireVersion: 21,
    readOnly: false,
    ok: 1,
  })
  // OP_REPLY: flags, cursor (8 bytes), first, count, documents. OP_MSG: flags, a section of kind 0.
  const prefix = isLegacy ? Buffer.alloc(20) : Buffer.alloc(5)
  if (isLegacy) prefix.writeInt32LE(1, 16)
  const header = Buffer.alloc(16)
  header.writeInt32LE(16 + prefix.length + document.length, 0)
  header.writeInt32LE(message.readInt32LE(4), 8)
  header.writeInt32LE(isLegacy ? OP_REPLY : OP_MSG, 12)
  return Buffer.concat([header, prefix, document])
}

/** OP_QUERY: flags, the collection's name, skip, limit, document. */
function legacyCommand(message: Buffer): BSON.Document {
  const nameEnds = message.indexOf(0, 20)
  return BSON.deserialize(message.subarray(nameEnds + 9))
}

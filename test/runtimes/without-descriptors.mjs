// In Deno, which hides the descriptors of its sockets, errors must say what is missing, and Node's own interface must do the rest.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { capabilities, inspect, probe, tune } from 'deadpeer'

const what = 'Deno does not show the descriptors of its sockets'
assert.deepEqual([capabilities().native, capabilities().reason], [false, what])

const server = net.createServer().listen(0, '127.0.0.1')
await once(server, 'listening')
const socket = net.connect(server.address().port, '127.0.0.1')
await once(socket, 'connect')

tune(socket, { initialDelay: 7_000 })
assert.throws(() => tune(socket, { userTimeout: 7_000 }), {
  code: 'ERR_UNSUPPORTED_OPTION',
  message: new RegExp(what),
})
await assert.rejects(probe(socket), { code: 'ERR_UNSUPPORTED_PLATFORM', message: new RegExp(what) })
assert.deepEqual(inspect(socket).profile, {})
console.log(`Deno ${Deno.version.deno}: ${what}, and the errors say so`)
process.exit()

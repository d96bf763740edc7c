import net from 'node:net'
import { inspect, probe, probeAll, tune, watch } from '../../../dist/index.js'
import { now } from '../journal.mjs'

// The process under test: opens connections, and tunes, probes and watches them as it is told to. Reports what it is told of each.

const SAMPLE_EVERY = 250

/** Of a connection that has ended with unread data, libuv reads the data and an end in one turn, and no error. */
const END = 'EOF'

const sockets = new Map()
const ids = new WeakMap()
const watcher = watch({ onDead: 'report' })
watcher
  .on('dead', ({ socket, reason, detectedBy, silentFor }) =>
    say('dead', ids.get(socket), { reason, detectedBy, silentFor }),
  )
  .on('error', (error) => {
    throw error
  })

function say(did, id, details) {
  process.send({ did, id, at: now(), ...details })
}

const commands = {
  connect({ id, host, port }) {
    const socket = net.connect(port, host)
    sockets.set(id, socket)
    ids.set(socket, id)
    socket
      .once('connect', () => say('connected', id, { port: socket.localPort, fd: socket._handle.fd }))
      .on('error', ({ code }) => say('error', id, { code }))
      .once('end', () => say('error', id, { code: END }))
      .once('close', () => sockets.delete(id))
      .resume()
  },
  tune: ({ socket, profile }) => tune(socket, profile),
  watch({ socket, heartbeat }) {
    watcher.add(socket, { heartbeat })
  },
  unwatch: ({ socket }) => watcher.delete(socket),
  probe({ socket, options, all }) {
    // An aborted or a refused one is an answer too: the connection may end meanwhile.
    const result = all ? probeAll([socket], options) : probe(socket, options)
    result.catch(() => {})
  },
  check({ id, socket }) {
    // Answered in any case: it also shows that all that was told before has been seen to.
    const isOpen = socket && !socket.destroyed
    say('checked', id, isOpen ? inspect(socket) : {})
  },
  close: ({ socket }) => socket.destroy(),
}

process.on('message', ({ do: name, ...command }) => {
  const socket = sockets.get(command.id)
  if (name === 'connect') commands.connect(command)
  else if (name === 'stop') stop()
  else if (name === 'check') run(name, { ...command, socket })
  // It may have ended since.
  else if (socket && !socket.destroyed) run(name, { ...command, socket })
})

/** Until it is continued. What is pending then stays so, and nobody can be asked. */
function stop() {
  samplePending()
  process.kill(process.pid, 'SIGSTOP')
}

function run(name, command) {
  try {
    commands[name](command)
  } catch (error) {
    say('refused', command.id, { what: name, code: error.code, message: error.message })
  }
}

function samplePending() {
  const pending = []
  for (const [id, socket] of sockets) {
    if (socket.connecting || socket.destroyed) continue
    try {
      if (inspect(socket).pending) pending.push(id)
    } catch (error) {
      if (error.code !== 'ERR_SOCKET_CLOSED') throw error
    }
  }
  process.send({ did: 'pending', at: now(), ids: pending })
}

setInterval(samplePending, SAMPLE_EVERY)

process.on('disconnect', () => process.exit())
process.send({ did: 'ready' })

import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { borrowSocket, destroySocket, listSockets } from '../../dist/host/index.js'
import { defineProfile, inspect, probe, sampleTcpInfo, tune, tuneAll, watch } from '../../dist/index.js'
import { blackHole, lossy } from '../../dist/testing/index.js'
import { until } from './connections.mjs'

const wanted = {
  enable: true,
  initialDelay: 40_000,
  interval: 7_000,
  count: 4,
  userTimeout: 60_000,
  synCount: 3,
}
const defined = defineProfile(wanted)
const unlike = {
  enable: true,
  initialDelay: 50_000,
  interval: 9_000,
  count: 5,
  userTimeout: 90_000,
  synCount: 4,
  failOnIcmp: true,
}

const profileOf = (socket) => inspect(socket).profile
const has = (socket, profile) => {
  const found = profileOf(socket)
  return Object.entries(profile).every(([name, value]) => found[name] === value)
}
const fail = (what) => {
  throw new Error(what)
}

/**
 * What runs under a fault, each on a new connection. `takesSilence`: the connection must be idle, because one that was heard within the last second
 * is not probed.
 *
 * `run` runs the verb and returns its outcome. `degraded` says what a result lacks compared with one without a fault, or that it lacks nothing.
 * `after` checks what must hold after any outcome, once the fault is over. `inWorker` is what a worker runs, and what must hold if it is
 * terminated.
 */
export const verbs = {
  'tune, values as a literal': {
    run: ({ socket }) => tune(socket, { ...unlike }),
    inWorker: { run: (fd) => tune(fd, { ...unlike }), leaves: 'all or nothing', profile: unlike },
    after: (pair, before, error) => allOrNothing(pair, unlike, before, error),
  },
  'tune, a defined profile': {
    run: ({ socket }) => tune(socket, defined),
    inWorker: { run: (fd) => tune(fd, defined), leaves: 'all or nothing', profile: wanted },
    after: (pair, before, error) => allOrNothing(pair, wanted, before, error),
  },
  tuneAll: {
    run: async ({ socket }) => {
      const [result] = await tuneAll([socket], defined)
      if (result.error) throw result.error
    },
    inWorker: { run: (fd) => tuneAll([fd], defined), leaves: 'all or nothing', profile: wanted },
    after: (pair, before, error) => allOrNothing(pair, wanted, before, error),
  },
  inspect: {
    run: ({ socket }) => inspect(socket),
    inWorker: { run: (fd) => inspect(fd) },
    degraded: ({ profile }, without) => {
      const missing = Object.keys(without.profile).filter((name) => !(name in profile))
      return missing.length > 0 ? 'options left out' : undefined
    },
  },
  sampleTcpInfo: {
    run: ({ socket }) => sampleTcpInfo([socket], ['state', 'rtt']),
    inWorker: { run: (fd) => sampleTcpInfo([fd], ['state', 'rtt']) },
    degraded: (values) => (Number.isNaN(values[0]) ? 'NaN' : undefined),
  },
  probe: {
    takesSilence: true,
    run: ({ socket }) => probe(socket),
    inWorker: { run: (fd) => probe(fd) },
    degraded: ({ evidence }) => (evidence === 'ack' ? undefined : evidence),
    after: restored,
  },
  'probe, of an unresponsive peer': {
    takesSilence: true,
    prepare: ({ peer }) => blackHole(peer),
    run: ({ socket }) => probe(socket, { attempts: 1, timeout: 50 }),
    degraded: ({ evidence }) => (evidence === 'silence' ? undefined : evidence),
    after: async (pair, before, error, hole, errno) => {
      hole.restore()
      // The peer is heard again, and the connection gets its own options back.
      pair.peer.write('.')
      await restored(pair, before, error, hole, errno)
    },
  },
  'probe, borrowed': {
    takesSilence: true,
    run: ({ socket }) => probe(borrowSocket(process.pid, socket._handle.fd)),
    inWorker: { run: (fd, pid) => probe(borrowSocket(pid, fd)) },
    degraded: ({ evidence }) => (evidence === 'ack' ? undefined : evidence),
    after: restored,
  },
  'watch, and a reset that Node does not read': {
    prepare: async ({ socket, peer }) => {
      // The buffer is full, so that Node does not read the socket any more.
      socket.on('data', () => {})
      socket.pause()
      peer.write(Buffer.alloc(1_000_000))
      await until(() => socket.readableLength >= socket.readableHighWaterMark)
    },
    run: async ({ socket, peer }) => {
      const watcher = watch({ onDead: 'report' })
      try {
        let seen = ''
        watcher.on('dead', ({ detectedBy }) => {
          seen ||= detectedBy
        })
        watcher.add(socket)
        peer.resetAndDestroy()
        await until(() => seen !== '', 300)
        return seen || 'unseen'
      } finally {
        watcher.close()
      }
    },
    degraded: (seen) => (seen === 'kernel' ? undefined : seen),
    inWorker: { run: watchOneOfItsOwn },
    after: (_pair, _before, error, _prepared, errno, result) => {
      if (!error && errno !== 'EBADF' && result !== 'kernel') fail(`a death reported as ${result}`)
    },
  },
  listSockets: {
    // Few, because the number of steps grows with the number of listed sockets.
    inWorker: { run: () => listSockets({ states: ['listen'] }) },
    run: async ({ socket }) => {
      const list = await listSockets({ states: ['established'], ...endsOf(socket), info: true })
      return { length: list.length, interrupted: list.interrupted }
    },
    degraded: ({ length, interrupted }) =>
      interrupted ? 'interrupted' : length === 1 ? undefined : `${length} listed`,
  },
  borrowSocket: {
    inWorker: {
      run: (fd, pid) => tune(borrowSocket(pid, fd), { ...wanted }),
      leaves: 'all or nothing',
      profile: wanted,
    },
    run: ({ socket }) => {
      const borrowed = borrowSocket(process.pid, socket._handle.fd)
      tune(borrowed, { ...wanted })
    },
    after: (pair, before, error) => allOrNothing(pair, wanted, before, error),
  },
  destroySocket: {
    prepare: async ({ socket }) => [...(await listSockets(endsOf(socket)))][0],
    run: (_, record) => destroySocket(record),
    after: async ({ socket }, _, error) => {
      const isGone = await until(() => inspect(socket).info.state === 7, error ? 20 : 1_000).catch(() => true)
      if (!error && !isGone) fail('neither destroyed nor an error')
    },
  },
  'blackHole, and its end': {
    prepare: () => ({}),
    run: ({ peer }, kept) => {
      kept.impairment = blackHole(peer)
      kept.impairment.restore()
    },
    after: hears,
  },
  'lossy, and its end': {
    prepare: () => ({}),
    run: ({ peer }, kept) => {
      kept.impairment = lossy(peer, 1)
      kept.impairment.restore()
    },
    after: hears,
  },
}

/** A worker has no socket object for another thread's descriptor. */
async function watchOneOfItsOwn() {
  const server = net.createServer((peer) => peer.on('error', () => {}).resume()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = net.connect(server.address().port, '127.0.0.1')
  await once(socket, 'connect')
  const watcher = watch()
  watcher.add(socket)
  await sleep(20)
  watcher.close()
  socket.destroy()
  server.close()
}

/** No other connection has both. */
const endsOf = ({ localPort, remotePort }) => ({ localPort, remotePort })

/** The connection has the whole profile. After an error it has only the options that the error names as `written`. */
function allOrNothing({ socket }, profile, before, error) {
  const expected = error ? { ...before } : profile
  for (const name of error?.written ?? []) expected[name] = profile[name]
  if (!has(socket, expected)) fail(`neither all options nor none: ${JSON.stringify(profileOf(socket))}`)
}

/** If a verb reports that the descriptor is closed, its options are not restored. */
async function restored({ socket }, before, _error, _prepared, errno) {
  if (errno === 'EBADF') return
  const isBack = await until(() => has(socket, before))
  if (!isBack) fail(`the owner's options were not restored: ${JSON.stringify(profileOf(socket))}`)
}

/** The peer receives data again. If `restore` failed under the fault, this call of it succeeds. */
async function hears({ socket, peer }, _before, _error, { impairment }, errno) {
  if (errno === 'EBADF') return
  impairment?.restore()
  peer.resume()
  const before = peer.bytesRead
  socket.write('x')
  if (!(await until(() => peer.bytesRead > before))) fail('the peer still receives nothing')
}

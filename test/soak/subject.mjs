import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import net from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { tune, watch } from '../../dist/index.js'
import { reference } from '../bench/harness/reference.mjs'
import { deathwatchThreads } from '../support/deathwatch-thread.mjs'
import { servers, WRITE_AFTER } from './fates.mjs'
import { Journal } from './journal.mjs'
import { seeded } from './random.mjs'
import { collect, deathsInMetrics, scrapes } from './scrapes.mjs'
import { noteStarvation } from './starvation.mjs'
import { startTls } from './tls-players.mjs'

// The program under test: it accepts the connections, has them watched, writes down what it is told, is scraped, and looks at itself.
// Without `watched` all of that but the watching.

const { seed, journalPath, watched, collectEvery, secrets } = JSON.parse(process.argv[2])
const random = seeded(seed)
const journal = new Journal(journalPath)

const SAMPLE_EVERY = 1_000
const COUNT_DESCRIPTORS_EVERY = 5
const LONGEST_HALF_OPEN = 2_000

/** With the name of the server that accepted each. */
const sockets = new Map()
const ids = new WeakMap()
const removed = new WeakSet()
const counts = { accepted: 0, removed: 0, dead: 0, ended: 0 }
const idOf = (socket) => ids.get(socket) ?? '?'

const before = { descriptors: descriptors(), threads: deathwatchThreads() }
/** With a listener to `suspect` the watcher sends all probes of heartbeats itself. */
const watchers = watched ? { listening: watch(), quiet: watch() } : {}
for (const [name, watcher] of Object.entries(watchers)) {
  watcher
    .on('dead', ({ socket, reason, detectedBy }) => {
      counts.dead++
      journal.note(idOf(socket), 'dead', `${reason} ${detectedBy}`)
    })
    .on('closing', ({ socket }) => journal.note(idOf(socket), 'closing'))
    .on('error', (error) => {
      throw error
    })
  collect(watcher, name, name === 'listening')
}
watchers.listening
  ?.on('suspect', ({ socket }) => journal.note(idOf(socket), 'suspect'))
  .on('recover', ({ socket }) => journal.note(idOf(socket), 'recover'))

const watcherFor = (name) => (servers[name].listensToSuspect ? watchers.listening : watchers.quiet)

const listening = {}
for (const [name, { profile, heartbeat }] of Object.entries(servers)) {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => serve(socket, name))
  watcherFor(name)?.add(server, { heartbeat })
  if (profile) tune(server, profile)
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 })
  await once(server, 'listening')
  listening[name] = server
}

const secure = await startTls({ journal, random: seeded(seed + 1), secrets, watched, isSubject: true })

function serve(socket, name) {
  counts.accepted++
  sockets.set(socket, name)
  let header = ''
  let isHeld = false
  socket.on('error', () => {})
  socket.on('close', () => {
    sockets.delete(socket)
    counts.ended++
    journal.note(idOf(socket), 'closed')
  })
  socket.on('end', () => {
    if (isHeld) return
    const close = () => socket.end()
    if (random() < 0.5) close()
    else setTimeout(close, LONGEST_HALF_OPEN * random())
  })
  const orders = {
    '.': () => socket.write('.'),
    // It is about to close its side, and this one stays open.
    h() {
      isHeld = true
      socket.write('k')
    },
    w() {
      socket.write('k')
      setTimeout(() => {
        if (!socket.writable) return
        socket.write('x')
        journal.note(idOf(socket), 'wrote')
      }, WRITE_AFTER)
    },
    p() {
      socket.pause()
      socket.write('k')
    },
    q: () => socket.destroy(),
    d() {
      counts.removed += Number(watcherFor(name)?.delete(socket) ?? false)
      removed.add(socket)
      socket.write('k')
    },
  }
  socket.on('data', (data) => {
    let letters = data.toString('latin1')
    if (!ids.has(socket)) {
      header += letters
      const end = header.indexOf('\n')
      if (end < 0) return
      const [id, every] = header.slice(0, end).split(' ')
      ids.set(socket, id)
      letters = header.slice(end + 1)
      accept(socket, name, 1_000 * Number(every))
      socket.write('k')
    }
    for (const letter of letters) orders[letter]?.()
  })
}

/** It is known which one it is, so it gets its own heartbeat. */
function accept(socket, name, every) {
  const { heartbeat } = servers[name]
  journal.note(idOf(socket), 'accepted', heartbeat ? `${name} ${every}` : name)
  if (heartbeat) watcherFor(name)?.add(socket, { heartbeat: { ...heartbeat, every } })
}

const samples = []
const loop = monitorEventLoopDelay({ resolution: 1 })
const inInterval = monitorEventLoopDelay({ resolution: 1 })
let processor
let starvation
let timers = []

/** Once all are there. */
function observe() {
  for (const histogram of [loop, inInterval]) histogram.enable()
  processor = [process.cpuUsage(), performance.now()]
  const started = performance.now()
  let turn = 0
  let collectAt = started + collectEvery
  const sample = () => {
    const { rss, external, arrayBuffers } = process.memoryUsage()
    const at = performance.now()
    const entry = {
      at: (at - started) / 1_000,
      sockets: sockets.size,
      rss,
      external,
      arrayBuffers,
      ...counts,
    }
    if (watched) entry.watching = statsOfAll().watching
    entry.delay = [inInterval.percentile(50), inInterval.percentile(99), inInterval.max].map((ns) => ns / 1e6)
    inInterval.reset()
    if (turn++ % COUNT_DESCRIPTORS_EVERY === 0)
      entry.others = descriptors() - sockets.size - secure.ends.descriptors
    if (at >= collectAt) {
      collectAt += collectEvery
      globalThis.gc()
      const after = process.memoryUsage()
      entry.heap = after.heapUsed
      entry.buffers = after.external
      entry.native = reference().allocated()
    }
    samples.push(entry)
  }
  starvation = noteStarvation(journal, '*')
  timers = [
    starvation.timer,
    setInterval(sample, SAMPLE_EVERY),
    ...scrapes.map(({ every, run }) =>
      setInterval(() => run([...sockets.keys(), ...secure.ends.sockets]), every),
    ),
  ]
}

/** How many descriptors are open but for the one that looks. */
function descriptors() {
  return readdirSync('/proc/self/fd').length - 1
}

/** What became of all that were added, to any watcher. */
function statsOfAll() {
  const sum = { added: 0, watching: 0, dead: 0, closed: 0, removed: 0 }
  for (const watcher of Object.values(watchers))
    for (const [name, count] of Object.entries(watcher.stats())) sum[name] += count
  return sum
}

async function finish() {
  for (const timer of timers) clearInterval(timer)
  loop.disable()
  const { user, system } = process.cpuUsage(processor[0])
  const cpu = (user + system) / 10 / (performance.now() - processor[1])
  const inMetrics = await deathsInMetrics()
  const stats = watched ? statsOfAll() : undefined
  const unwatched = watched
    ? [...sockets].filter(([socket, name]) => !removed.has(socket) && !watcherFor(name).has(socket))
    : []
  const openAtEnd = sockets.size
  const tls = secure.ends.account()
  for (const watcher of Object.values(watchers)) watcher.close()
  // What ends now is no part of the game.
  journal.note('*', 'finished')
  secure.close()
  for (const socket of sockets.keys()) socket.destroy()
  for (const server of Object.values(listening)) server.close()
  while (sockets.size + secure.ends.descriptors > 0) await delay(50)
  // The thread that watched takes its descriptors with it.
  for (let tries = 0; tries < 100 && deathwatchThreads() > before.threads; tries++) await delay(20)
  inInterval.disable()
  journal.flush()
  return {
    samples,
    delay: { p50: loop.percentile(50) / 1e6, p99: loop.percentile(99) / 1e6, max: loop.max / 1e6 },
    cpu,
    starved: starvation.starved,
    tls,
    stats,
    counts,
    openAtEnd,
    unwatched: unwatched.length,
    inMetrics,
    left: {
      descriptors: descriptors() - before.descriptors,
      threads: deathwatchThreads() - before.threads,
    },
  }
}

process.on('disconnect', () => process.exit())
process.on('message', async (order) => {
  if (order === 'observe') observe()
  else if (order === 'enough') secure.stop()
  else if (order.connect) secure.connect(order.connect.ports, order.connect.slots)
  else if (order === 'finish') process.send(await finish())
})
process.send({
  ports: Object.fromEntries(Object.entries(listening).map(([name, server]) => [name, server.address().port])),
  tlsPorts: secure.ports,
})

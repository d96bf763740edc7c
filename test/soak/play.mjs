import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { GRACE } from './fates.mjs'
import { Journal } from './journal.mjs'
import { seeded } from './random.mjs'

// One game, in a network namespace of its own: starts the subject and its peers, kills or silences a whole process of them now and then,
// and writes to `folder` what the subject says of itself. What happened is in the journals beside it.

const { connections, seconds, seed, watched, lifetime, folder, collectEvery, secrets } = JSON.parse(
  process.argv[2],
)
const random = seeded(seed)
const journal = new Journal(join(folder, 'play.journal'))

const PROCESSES = 4
/** TLS, HTTPS and HTTP/2 connections at a time, in either direction. */
const TLS_SLOTS = Math.max(8, Math.ceil(connections / 225))
/** Connections of a process that is going to be killed, or silenced. */
const HERD = Math.round(connections / 45)
const HERD_EVERY = 15_000
/** Some fates come about a little after they were chosen. */
const LAST_FATES = 3_000

const script = (name) => fileURLToPath(new URL(name, import.meta.url))
/** Every process by what the others know it by. */
const running = new Set()

function start(name, options, execArgv = []) {
  const child = fork(script(name), [JSON.stringify(options)], {
    execArgv,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  running.add(child)
  child.once('exit', (code, signal) => {
    running.delete(child)
    if (code === 0 || signal === 'SIGKILL') return
    console.error(`${name} ended with ${code ?? signal}`)
    process.exit(1)
  })
  return child
}

const newSeed = () => Math.floor(random() * 2 ** 32)

const subject = start(
  'subject.mjs',
  { seed: newSeed(), watched, collectEvery, secrets, journalPath: join(folder, 'subject.journal') },
  ['--expose-gc'],
)
const [{ ports, tlsPorts }] = await once(subject, 'message')

let serial = 0
function startPeers(count, isHerd) {
  const options = { serial: serial++, count, seed: newSeed(), ports, lifetime, isHerd }
  const peers = start('peers.mjs', {
    ...options,
    journalPath: join(folder, `peers-${options.serial}.journal`),
  })
  return { peers, serial: options.serial, open: once(peers, 'message') }
}

const others = Math.floor((connections - HERD) / PROCESSES)
const crowd = Array.from({ length: PROCESSES }, () => startPeers(others, false))
let herd = startPeers(connections - PROCESSES * others, true)
await Promise.all([...crowd, herd].map(({ open }) => open))

const tlsPeers = start('tls-peers.mjs', {
  seed: newSeed(),
  ports: tlsPorts,
  slots: TLS_SLOTS,
  secrets,
  watched,
  journalPath: join(folder, 'tls-peers.journal'),
})
const [tlsPeersPorts] = await once(tlsPeers, 'message')
subject.send({ connect: { ports: tlsPeersPorts, slots: TLS_SLOTS } })

noteDrops()
journal.note('*', 'started')
subject.send('observe')
const end = performance.now() + 1_000 * seconds
for (let left = seconds * 1_000; left > 0; left = end - performance.now()) {
  if (left < 1.5 * HERD_EVERY) {
    await delay(left)
    continue
  }
  await delay(HERD_EVERY)
  const { peers, serial, open } = herd
  await open
  if (random() < 0.5) {
    journal.note(String(serial), 'killed')
    journal.flush()
    peers.kill('SIGKILL')
  } else peers.send('vanish')
  herd = startPeers(HERD, true)
}
await herd.open
journal.note('*', 'over')
for (const one of [...crowd.map(({ peers }) => peers), tlsPeers, subject]) one.send('enough')
await delay(LAST_FATES + GRACE)
tlsPeers.send('account')
const [tlsFarSide] = await once(tlsPeers, 'message')
subject.send('finish')
const [result] = await once(subject, 'message')
journal.close()
for (const child of running) child.disconnect()
while (running.size > 0) await delay(50)

/** Segments that this machine has dropped, since too many waited for a processor: nobody has heard those. */
function noteDrops() {
  const read = () =>
    readFileSync('/proc/net/softnet_stat', 'utf8')
      .trimEnd()
      .split('\n')
      .reduce((sum, line) => sum + Number.parseInt(line.split(' ')[1], 16), 0)
  let last = read()
  setInterval(() => {
    const dropped = read()
    if (dropped > last) journal.note('*', 'dropped', String(dropped - last))
    last = dropped
  }, 250).unref()
}

const journals = readdirSync(folder).filter((name) => name.endsWith('.journal'))
writeFileSync(join(folder, 'result.json'), JSON.stringify({ ...result, tlsFarSide, journals }))

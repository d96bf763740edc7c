import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { inspect, TcpState } from '../../dist/index.js'
import { blackHole, lossy } from '../../dist/testing/index.js'
import { BRIEF, EVERY, fates, servers } from './fates.mjs'
import { Journal } from './journal.mjs'
import { pick, seeded } from './random.mjs'

// The far side of some of the connections. Each gets its fate at random, which is written down when it comes about; for each that ends
// another comes. Of a herd none has a fate of its own: it is killed, or all of it goes silent at once.

const { serial, count, seed, ports, journalPath, lifetime, isHerd } = JSON.parse(process.argv[2])
const random = seeded(seed)
const journal = new Journal(journalPath)

/** More at once would overflow the queue of connections to be accepted. */
const AT_ONCE = 100
/** Every second one talks so often. */
const TALK_EVERY = 2_500
/** So many of those that talk lose this share of what they should hear. */
const LOSSY = 0.1
const LOSS = 0.05
/** The least heartbeat of those, in s: they are heard sooner, so that they are not called dead by chance. */
const LEAST_EVERY_WITH_LOSS = 5
const kinds = Object.keys(servers)
/** After that long one that is silent has been found, or was lost: also where the subject had no processor for a while. */
const SILENT_FOR = 45_000
/** A heartbeat can ask after a second of silence only. */
const YOUNG = 1_500
/** More than Node keeps of what is not read, less than the kernel keeps. */
const UNREAD = Buffer.alloc(64 * 1_024, 'b')

const open = new Set()
const talking = new Set()
let opened = 0
let isOver = false

class Peer {
  constructor() {
    const number = opened++
    this.id = `${serial}.${number}`
    this.server = kinds[number % kinds.length]
    this.isTalking = number % (2 * kinds.length) >= kinds.length
    this.isLossy = this.isTalking && random() < LOSSY
    const least = this.isLossy ? LEAST_EVERY_WITH_LOSS : EVERY.least
    /** Its heartbeat, if that kind has one, in s. */
    this.every = least + Math.floor(random() * (EVERY.most - least + 1))
    /** What was said, and what came back. */
    this.said = 0
    this.echoed = 0
    this.onQuiet = undefined
    this.hasEnded = false
    this.socket = net.connect(ports[this.server], '127.0.0.1')
    this.socket.on('error', () => {})
    this.socket.on('data', (data) => this.#hear(data))
    this.socket.on('close', () => this.end())
    this.socket.once('connect', () => this.socket.write(`${this.id} ${this.every}\n`))
    // The other side knows which it is before anything happens to it.
    this.known = new Promise((resolve) => {
      this.onReady = resolve
    })
    this.known.then(() => {
      open.add(this)
      if (this.isTalking) {
        talking.add(this)
        if (this.isLossy) {
          lossy(this.socket, LOSS)
          this.note('lossy')
        }
      }
      this.#live()
    })
  }

  #hear(data) {
    for (const byte of data) {
      if (byte === 0x2e) this.echoed++
      else if (byte === 0x6b) this.onReady?.()
    }
    if (this.said === this.echoed) this.onQuiet?.()
  }

  #live() {
    if (isHerd) return
    // How long it has lived does not matter to how long it will: as many end in each second, from the first on.
    setTimeout(() => this.#meetFate(), YOUNG - lifetime * Math.log(1 - random()))
  }

  #meetFate() {
    if (isOver || this.hasEnded) return
    const possible = Object.entries(fates)
      .filter(([, fate]) => fate[this.server] && !(fate.isAcknowledged && this.isLossy))
      .map(([name, { weight }]) => ({ name, weight }))
    // Where something is said, other things are swallowed than questions.
    if (!this.isTalking) possible.push(BRIEF)
    const { name } = pick(random, possible)
    acts[name](this).catch((error) => {
      // This side is told of its end by the other: nothing can be done to it any more.
      if (!this.socket.destroyed) throw error
    })
    if (name !== BRIEF.name) this.end()
  }

  /** All that was said has come back, so that nothing is on its way. */
  async quieten() {
    talking.delete(this)
    if (this.said === this.echoed) return
    await new Promise((resolve) => {
      this.onQuiet = resolve
    })
  }

  /** Asks the other side for something, and waits until it is about to be done. */
  async order(letter) {
    await this.quieten()
    await new Promise((resolve) => {
      this.onReady = resolve
      this.socket.write(letter)
    })
  }

  note(event, detail) {
    journal.note(this.id, event, detail)
  }

  /** It hears nothing, for long enough to be found. Then it goes without leaving a trace. */
  vanish(name) {
    if (this.socket.destroyed) return
    const hole = blackHole(this.socket)
    this.note('fate', name)
    setTimeout(() => {
      if (this.socket.destroyed) return
      hole.restore()
      this.socket.resetAndDestroy()
    }, SILENT_FOR)
  }

  live() {
    this.#live()
  }

  end() {
    if (this.hasEnded) return
    this.hasEnded = true
    talking.delete(this)
    open.delete(this)
    if (!isOver && !isHerd) new Peer()
  }
}

/** Something is written down before it is done: the other side may see it before this one goes on. */
const acts = {
  async silent(peer) {
    await peer.quieten()
    peer.vanish('silent')
  },
  async 'silent in flight'(peer) {
    await peer.order('w')
    peer.vanish('silent in flight')
  },
  async 'silent unread'(peer) {
    await peer.order('p')
    peer.socket.write(UNREAD)
    await delay(500)
    peer.vanish('silent unread')
  },
  async reset(peer) {
    peer.note('fate', peer.said === peer.echoed ? 'reset' : 'reset while talking')
    peer.socket.resetAndDestroy()
  },
  async 'half-close'(peer) {
    await peer.quieten()
    peer.note('fate', 'half-close')
    peer.socket.end()
  },
  async 'half-close, silent'(peer) {
    await peer.order('h')
    peer.note('half-closed')
    peer.socket.end()
    // Else it would say so again and again, and not be silent.
    while (inspect(peer.socket).info.state !== TcpState.FIN_WAIT2) await delay(20)
    peer.vanish('half-close, silent')
  },
  async ours(peer) {
    await peer.quieten()
    peer.note('fate', 'ours')
    peer.socket.write('q')
  },
  async removed(peer) {
    await peer.order('d')
    peer.note('fate', 'removed')
    peer.socket.resetAndDestroy()
  },
  async brief(peer) {
    peer.note('deaf')
    const hole = blackHole(peer.socket, { segments: BRIEF.segments })
    await hole.done
    // How many they really were: this process may have been late.
    peer.note('swallowed', String(hole.swallowed))
    // It has been asked again, and has answered: what was swallowed before counts no more.
    const { segsIn } = inspect(peer.socket).info
    while (inspect(peer.socket).info.segsIn === segsIn) await delay(100)
    peer.live()
  },
}

process.on('message', async (order) => {
  if (order === 'enough') isOver = true
  else if (order === 'vanish') {
    for (const peer of open) {
      acts.silent(peer)
      peer.end()
    }
    await delay(SILENT_FOR + 1_000)
    process.exit()
  }
})
process.on('disconnect', () => process.exit())
process.on('exit', () => journal.close())

let owed = 0
let lastTurn = performance.now()
setInterval(() => {
  // Spread evenly over the time in which each has its turn.
  const now = performance.now()
  owed = Math.min(talking.size, owed + ((now - lastTurn) / TALK_EVERY) * talking.size)
  lastTurn = now
  for (const peer of talking) {
    if (owed < 1) break
    owed--
    // Goes to the end of the line.
    talking.delete(peer)
    talking.add(peer)
    if (peer.socket.writable) {
      peer.said++
      peer.socket.write('.')
    }
  }
}, 20)

for (let left = count; left > 0; left -= AT_ONCE) {
  const some = Array.from({ length: Math.min(AT_ONCE, left) }, () => new Peer())
  await Promise.all(some.map(({ known }) => known))
}
process.send?.('open')

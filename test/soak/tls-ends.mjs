import { setTimeout as delay } from 'node:timers/promises'
import { inspect, tune } from '../../dist/index.js'
import { blackHole } from '../../dist/testing/index.js'
import { SILENT_FOR } from './tls-fates.mjs'

// The TLS connections of one process of the soak, each by its end in this process: what happens to it is noted, what is watched is counted.

export class TlsEnds {
  /** Connected TLS sockets. */
  sockets = new Set()
  /** Descriptors in use, with those of listening sockets and of connections that are still shaking hands. */
  descriptors = 0
  counts = { added: 0, dead: 0, removed: 0, closed: 0 }
  #journal
  #watchers
  #keys = new WeakMap()
  #watched = new WeakMap()

  /** @param {Record<'beating' | 'clocked', import('../../dist/index.js').Watcher> | undefined} watchers */
  constructor(journal, watchers) {
    this.#journal = journal
    this.#watchers = watchers
    for (const watcher of Object.values(watchers ?? {})) {
      watcher
        .on('dead', ({ socket, reason, detectedBy }) => {
          this.counts.dead++
          const watched = this.#watched.get(socket)
          if (watched) watched.isDead = true
          this.note(socket, 'dead', `${reason} ${detectedBy}`)
        })
        .on('closing', ({ socket }) => this.note(socket, 'closing'))
        .on('error', (error) => {
          throw error
        })
    }
  }

  /** The watcher of a group, where this process watches. */
  watcher(group) {
    return this.#watchers?.[group]
  }

  /** What the watchers count together, what happened to the sockets they watch, and how many open ones they should watch and do not. */
  account() {
    const stats = { added: 0, watching: 0, dead: 0, closed: 0, removed: 0 }
    for (const watcher of Object.values(this.#watchers ?? {}))
      for (const [name, count] of Object.entries(watcher.stats())) stats[name] += count
    return { stats, counts: { ...this.counts }, unwatched: this.#unwatched() }
  }

  #unwatched() {
    return [...this.sockets].filter((socket) => {
      const { group, isDead, isRemoved } = this.#watched.get(socket) ?? {}
      return group && !isDead && !isRemoved && !socket.destroyed && !this.watcher(group).has(socket)
    }).length
  }

  /** Once the socket is connected and has a key. */
  open(socket, { group, kind, address }) {
    this.note(socket, 'opened', `${group} ${kind} ${address} ${this.#watched.has(socket)}`)
  }

  /** @param what the socket, or a key. */
  note(what, event, detail) {
    const key = typeof what === 'string' ? what : this.#keys.get(what)
    this.#journal.note(key ?? '?/?', event, detail)
  }

  /** @param what as in `note`. */
  noteError(what, error) {
    this.note(what, 'error', `${error.code} ${error.name}`)
  }

  /** The socket's events are noted under `key`: `<connection>/client` or `<connection>/server`. */
  name(socket, key) {
    this.#keys.set(socket, key)
  }

  /** As soon as there is a socket, before anything else happens to it. */
  follow(socket, { key, onClosed } = {}) {
    this.sockets.add(socket)
    if (key) this.name(socket, key)
    socket.once('close', () => {
      this.sockets.delete(socket)
      onClosed?.()
      const watched = this.#watched.get(socket)
      if (watched && !watched.isDead && !watched.isRemoved) this.counts.closed++
      this.note(socket, 'closed')
    })
  }

  /** @param owner emits `'close'` when the descriptor is closed. */
  holdDescriptor(owner) {
    this.descriptors++
    owner.once('close', () => this.descriptors--)
  }

  /** @param target what the watcher is given. */
  watch(socket, group, target = socket) {
    this.watcher(group)?.add(target)
    this.countWatched(socket, group)
  }

  /** For a socket that the watcher got from a server or an agent. */
  countWatched(socket, group) {
    if (!this.watcher(group)) return
    this.counts.added++
    this.#watched.set(socket, { group, isDead: false, isRemoved: false })
  }

  /** Resets the connection from this end. Nothing is to be reported of this end any more. */
  reset(id, socket, raw, fate) {
    this.#unwatch(socket)
    this.note(id, 'fate', fate)
    raw.resetAndDestroy()
  }

  /** Until the peer has acknowledged everything. */
  async acknowledged(socket) {
    const isOutstanding = ({ unacked, notsentBytes = 0 }) => unacked > 0 || notsentBytes > 0
    while (!socket.destroyed && isOutstanding(inspect(socket).info)) await delay(20)
  }

  /** This end hears nothing any more. What is not acknowledged would be sent again, and the peer would hear that. */
  async vanish(id, socket, fate) {
    await this.acknowledged(socket)
    if (socket.destroyed) return
    this.#unwatch(socket)
    // Its own kernel would give the peer up as well, and tell it so by a reset.
    tune(socket, { enable: false })
    const hole = blackHole(socket)
    this.note(id, 'fate', fate)
    setTimeout(() => {
      if (socket.destroyed) return
      hole.restore()
      socket.destroy()
    }, SILENT_FOR)
  }

  #unwatch(socket) {
    const watched = this.#watched.get(socket)
    if (!watched || !this.watcher(watched.group).delete(socket)) return
    watched.isRemoved = true
    this.counts.removed++
  }

  close() {
    for (const watcher of Object.values(this.#watchers ?? {})) watcher.close()
    for (const socket of this.sockets) socket.destroy()
  }
}

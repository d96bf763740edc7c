/** Node's EventEmitter, or the smaller one of socket.io-client. */
export interface Emitter {
  on(event: string, listener: () => void): unknown
  off(event: string, listener: () => void): unknown
  prependListener?(event: string, listener: () => void): unknown
  listeners?(event: string): readonly unknown[]
}

/** By event, those who listen. */
type Listeners = Map<string, { readonly hear: () => void; readonly all: Set<() => void> }>

const shared = new WeakMap<object, Listeners>()

/**
 * Listens to an event. An emitter gets one listener for any number of callers, because Node warns of a leak from the eleventh on. It is put
 * before the program's own, and removed with the last caller.
 *
 * @param listener must not throw, because other callers' functions follow.
 * @returns a function that stops it.
 */
export function listenShared(emitter: Emitter, event: string, listener: () => void): () => void {
  const known: Listeners = shared.get(emitter) ?? new Map()
  shared.set(emitter, known)
  let entry = known.get(event)
  // The program may have called removeAllListeners().
  if (!entry || emitter.listeners?.(event).includes(entry.hear) === false) {
    const all = new Set<() => void>()
    const hear = () => {
      // Some leave while they are called, and others join.
      for (const each of [...all]) if (all.has(each)) each()
    }
    entry = { hear, all }
    known.set(event, entry)
    if (emitter.prependListener) emitter.prependListener(event, hear)
    else emitter.on(event, hear)
  }
  const { hear, all } = entry
  // A caller may listen twice with the same function.
  const own = () => listener()
  all.add(own)
  return () => {
    if (!all.delete(own) || all.size > 0) return
    emitter.off(event, hear)
    if (known.get(event)?.hear === hear) known.delete(event)
  }
}

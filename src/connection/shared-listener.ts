/** Node's EventEmitter, or the smaller one of socket.io-client. */
export interface Emitter {
  on(event: string, listener: () => void): unknown
  off(event: string, listener: () => void): unknown
  prependListener?(event: string, listener: () => void): unknown
  listeners?(event: string): readonly unknown[]
}

/** The listeners by event. */
type Listeners = Map<string, { readonly callAll: () => void; readonly all: Set<() => void> }>

const shared = new WeakMap<object, Listeners>()

/**
 * Listens to an event. An emitter gets one listener for any number of callers, because Node warns of a leak from the eleventh on. It runs
 * before the program's own listeners, and is removed with the last caller.
 *
 * @param listener must not throw, because other callers' functions follow.
 * @returns a function that stops it.
 */
export function listenShared(emitter: Emitter, event: string, listener: () => void): () => void {
  const known: Listeners = shared.get(emitter) ?? new Map()
  shared.set(emitter, known)
  let entry = known.get(event)
  // The program may have called removeAllListeners().
  if (!entry || emitter.listeners?.(event).includes(entry.callAll) === false) {
    const all = new Set<() => void>()
    const callAll = () => {
      // Callers may leave or join while they are called.
      for (const each of [...all]) if (all.has(each)) each()
    }
    entry = { callAll, all }
    known.set(event, entry)
    if (emitter.prependListener) emitter.prependListener(event, callAll)
    else emitter.on(event, callAll)
  }
  const { callAll, all } = entry
  // A caller may register the same function twice.
  const own = () => listener()
  all.add(own)
  return () => {
    if (!all.delete(own) || all.size > 0) return
    emitter.off(event, callAll)
    if (known.get(event)?.callAll === callAll) known.delete(event)
  }
}

/** The functions to call when a signal is aborted. */
const cancellations = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * Returns a promise that settles like `promise`. If the signal is aborted first, it calls `cancel` and rejects with the signal's reason.
 *
 * A signal gets one listener for any number of callers, because Node warns of a leak from the eleventh listener on. The last caller removes
 * the listener.
 *
 * @param signal must not be aborted yet
 * @param cancel must not throw, because other callers' functions follow
 */
export function untilAborted<T>(
  signal: AbortSignal,
  promise: PromiseLike<T>,
  cancel: () => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const release = onAbort(signal, () => {
      cancel()
      reject(signal.reason)
    })
    promise.then(
      (value) => {
        release()
        resolve(value)
      },
      (error) => {
        release()
        reject(error)
      },
    )
  })
}

/** Calls a function when the signal is aborted. The returned function undoes that. */
export function onAbort(signal: AbortSignal, cancel: () => void): () => void {
  let waiting = cancellations.get(signal)
  if (!waiting) {
    waiting = new Set()
    cancellations.set(signal, waiting)
    signal.addEventListener('abort', cancelAll)
  }
  waiting.add(cancel)
  return () => {
    if (waiting.delete(cancel) && waiting.size === 0) forget(signal)
  }
}

function cancelAll(this: AbortSignal): void {
  const waiting = [...(cancellations.get(this) ?? [])]
  cancellations.get(this)?.clear()
  forget(this)
  for (const cancel of waiting) cancel()
}

function forget(signal: AbortSignal): void {
  cancellations.delete(signal)
  signal.removeEventListener('abort', cancelAll)
}

/** What to call where a signal is aborted. */
const cancellations = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * A promise that is rejected with the signal's reason once it is aborted, after `cancel`.
 *
 * Any number may wait for one signal: it gets one listener for all of them (from the eleventh on Node warns of a leak), and
 * none once nobody waits any more.
 *
 * @param signal one that is not aborted yet
 * @param cancel must not throw, for others are waiting too
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

/** Has a function called where the signal is aborted. Call what it returns when that is not wanted any more. */
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

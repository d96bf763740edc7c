import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** The next message of a child process. Rejects once no message can come any more, so that no test waits for one until it times out. */
// biome-ignore lint/suspicious/noExplicitAny: what the child sends
export async function nextMessage(child: ChildProcess): Promise<any> {
  const settled = new AbortController()
  const { signal } = settled
  // Comes after the last message, which 'exit' may not.
  const disconnected = once(child, 'disconnect', { signal }).then(() => {
    throw new Error(`${child.spawnargs.join(' ')} ended without a message`)
  })
  try {
    return (await Promise.race([once(child, 'message', { signal }), disconnected]))[0]
  } finally {
    disconnected.catch(() => {})
    settled.abort()
  }
}

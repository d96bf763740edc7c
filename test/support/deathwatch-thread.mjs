import { readdirSync, readFileSync } from 'node:fs'

/** How many threads this process has for watching: by name. */
export function deathwatchThreads() {
  return deathwatchThreadIds().length
}

export function deathwatchThreadIds() {
  return readdirSync('/proc/self/task').filter((thread) => nameOf(thread) === 'deadpeer\n')
}

/** The thread stays for a second after the last connection. */
export async function noDeathwatchThread() {
  const deadline = performance.now() + 10_000
  while (deathwatchThreads() > 0) {
    if (performance.now() > deadline) throw new Error('the thread is still there after 10 s')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function nameOf(thread) {
  try {
    return readFileSync(`/proc/self/task/${thread}/comm`, 'utf8')
  } catch (error) {
    // It has ended since it was listed.
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return undefined
    throw error
  }
}

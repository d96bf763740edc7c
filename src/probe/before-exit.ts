/** What is to be done before this process ends, by 'exit' or by one of the signals that end it. */
const tasks = new Set<() => void>()
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Has something synchronous done before this process ends. Signals are listened to only as long as there is something, and then do what
 * they would have done without it.
 *
 * @returns takes it back.
 */
export function beforeExit(task: () => void): () => void {
  const own = () => task()
  if (tasks.size === 0) install()
  tasks.add(own)
  return () => {
    if (tasks.delete(own) && tasks.size === 0) uninstall()
  }
}

function install(): void {
  process.on('exit', runAll)
  for (const signal of signals) process.on(signal, onSignal)
}

function uninstall(): void {
  process.off('exit', runAll)
  for (const signal of signals) process.off(signal, onSignal)
}

function runAll(): void {
  for (const task of tasks) task()
}

function onSignal(signal: NodeJS.Signals): void {
  // Somebody else who listens decides whether the process ends; 'exit' comes then.
  if (process.listenerCount(signal) > 1) return
  runAll()
  uninstall()
  process.kill(process.pid, signal)
}

/** Tasks to run before this process ends, by 'exit' or by a signal. */
const tasks = new Set<() => void>()
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Runs a synchronous task before this process ends. Signals have listeners only while there are tasks. After the tasks, a signal has its
 * default effect.
 *
 * @returns a function that removes the task.
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
  // The program listens too, so it decides whether the process ends. If it does, 'exit' follows.
  if (process.listenerCount(signal) > 1) return
  runAll()
  uninstall()
  process.kill(process.pid, signal)
}

// Terminates a worker in each system call of each verb, on a connection of the main thread. run.mjs starts this with the shim.
//
// Afterwards nothing is left open, and the connection stands and has all options or none. The overlay of a probe may stay in force: it never shortens
// the connection's life (docs/internals.md). The main thread goes on.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { inspect, tune } from '../../dist/index.js'
import { descriptors, openConnections, until } from './connections.mjs'
import { disarm, holdCall, report } from './fault.mjs'
import { chosenVerbs, finish, problem } from './report.mjs'

const script = new URL('terminated-worker.mjs', import.meta.url)
const MOST_CALLS = 100

let runs = 0
await inWorker('inspect', 1, (await openConnections(1)).pairs[0])
for (const [name, verb] of chosenVerbs()) {
  if (!verb.inWorker) continue
  const { pairs, close } = await openConnections(MOST_CALLS)
  if (verb.takesSilence) await sleep(1_100)
  let steps = 0
  for (const pair of pairs) {
    const open = descriptors()
    const before = inspect(pair.socket).profile
    const failed = await inWorker(name, steps + 1, pair)
    if (failed === undefined) break
    steps++
    runs++
    const which = `${name}, terminated in call ${steps} (${failed})`
    if (!(await until(() => descriptors() <= open, 1_000)))
      problem(`${which}: descriptors: ${open} before, ${descriptors()} after`)
    const after = inspect(pair.socket)
    if (after.info.state !== 1) problem(`${which}: the connection is in state ${after.info.state}`)
    if (
      verb.inWorker.leaves === 'all or nothing' &&
      !isAllOrNothing(before, after.profile, verb.inWorker.profile)
    )
      problem(`${which}: neither all options nor none: ${JSON.stringify(after.profile)}`)
    tune(pair.socket, 'lan')
  }
  console.log(`${name}: ${steps} calls`)
  close()
  await sleep(20)
}
finish(runs)

/** Returns the call that the worker was in, or nothing if it had ended before. */
async function inWorker(name, call, { socket }) {
  const worker = new Worker(script, { workerData: { name, fd: socket._handle.fd, pid: process.pid } })
  let isDone = false
  worker.on('error', (error) => {
    isDone = true
    problem(`${name}: ${error.stack}`)
  })
  await once(worker, 'message')
  holdCall(call)
  worker.once('message', () => {
    isDone = true
  })
  worker.postMessage('go')
  await until(() => isDone || report().failed !== undefined, 10_000)
  const { failed } = report()
  const exit = worker.terminate()
  disarm()
  await exit
  return failed
}

function isAllOrNothing(before, after, wanted) {
  const isThere = (profile) => Object.entries(profile).every(([name, value]) => after[name] === value)
  return isThere(before) || isThere(wanted)
}

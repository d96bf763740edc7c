import { once } from 'node:events'
import { parentPort, workerData } from 'node:worker_threads'
import { inspect } from '../../dist/index.js'
import { verbs } from './verbs.mjs'

const { name, fd, pid } = workerData
// Loads the addon.
inspect(fd)
parentPort.postMessage('ready')
await once(parentPort, 'message')
await verbs[name].inWorker.run(fd, pid)
parentPort.postMessage('done')

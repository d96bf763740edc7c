// no-memory-once.mjs <verb> <time>: does it, with no memory that time, and says what came of it.
import { attempt } from './attempt.mjs'
import { openConnections } from './connections.mjs'
import { failMemory, report } from './fault.mjs'
import { verbs } from './verbs.mjs'

const [name, time] = process.argv.slice(2)
process.on('warning', () => {})
const { pairs } = await openConnections(1)
// Left as it is at the end: whoever started this looks whether it fired.
const fault = { errno: 'ENOMEM', begin: () => failMemory(Number(time)), end: report }
const { outcome, problems } = await attempt(verbs[name], pairs[0], fault)
console.log(JSON.stringify({ outcome, problems }))
process.exit()

// no-memory-once.mjs <verb> <time>: runs the verb with its <time>th allocation failing, and prints the outcome.
import { attempt } from './attempt.mjs'
import { openConnections } from './connections.mjs'
import { failMemory, report } from './fault.mjs'
import { verbs } from './verbs.mjs'

const [name, time] = process.argv.slice(2)
process.on('warning', () => {})
const { pairs } = await openConnections(1)
// Stays armed at the end: the parent process reads whether it fired.
const fault = { errno: 'ENOMEM', begin: () => failMemory(Number(time)), end: report }
const { outcome, problems } = await attempt(verbs[name], pairs[0], fault)
console.log(JSON.stringify({ outcome, problems }))
process.exit()

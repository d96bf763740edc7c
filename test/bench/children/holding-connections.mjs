import { connections } from '../harness/loopback.mjs'

// Opens so many connections, both ends of each, says so, and holds them until its standard input closes.

await connections(Number(process.argv[2]))
console.log('ready')
process.stdin.resume().on('end', () => process.exit())

import { Journal } from './journal.mjs'
import { seeded } from './random.mjs'
import { noteStarvation } from './starvation.mjs'
import { startTls } from './tls-players.mjs'

// The far side of the TLS, HTTPS and HTTP/2 connections. Some of its own ends are watched as well.

const { seed, ports, slots, secrets, watched, journalPath } = JSON.parse(process.argv[2])
const journal = new Journal(journalPath)
const players = await startTls({ journal, random: seeded(seed), secrets, watched, isSubject: false })

process.on('message', (order) => {
  if (order === 'enough') players.stop()
  else if (order === 'account') process.send(players.ends.account())
})
process.on('disconnect', () => process.exit())
process.on('exit', () => journal.close())
noteStarvation(journal, '*tls')
players.connect(ports, slots)
process.send(players.ports)

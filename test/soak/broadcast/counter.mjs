import { readFileSync } from 'node:fs'
import os from 'node:os'

// Counts the keepalive probes of this network namespace every few milliseconds, in a process that does nothing else, until it is told to stop.
// Then it sends how many there were, and the most within 10 ms. Where it was late itself it cannot tell within how many ms probes were sent:
// `unresolved` is the most that were sent in such a span.

const SAMPLE_EVERY = 2
const WINDOW = 10

/** Samples of the last WINDOW ms and one before. */
const recent = []
let first
let burst = 0
let unresolved = 0

try {
  os.setPriority(-20)
} catch {
  // Not privileged: it may be late then, and says so.
}

function probesSent() {
  const lines = readFileSync('/proc/net/netstat', 'utf8').split('\n')
  const names = lines.findIndex((line) => line.startsWith('TcpExt:'))
  const column = lines[names].split(' ').indexOf('TCPKeepAlive')
  return Number(lines[names + 1].split(' ')[column])
}

function sample() {
  const now = { at: performance.now(), sent: probesSent() }
  first ??= now.sent
  recent.push(now)
  while (recent.length > 2 && now.at - recent[0].at > WINDOW) recent.shift()
  const probes = now.sent - recent[0].sent
  if (now.at - recent[0].at <= WINDOW) burst = Math.max(burst, probes)
  else unresolved = Math.max(unresolved, probes)
}

const timer = setInterval(sample, SAMPLE_EVERY)
process.once('message', () => {
  clearInterval(timer)
  sample()
  process.send({ probes: probesSent() - first, burst, unresolved })
})
process.once('disconnect', () => process.exit())
sample()
process.send('ready')

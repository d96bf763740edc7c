// Runs every verb with no descriptor left. run.mjs starts this with a low limit.
import { closeSync, openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { attempt, Outcomes } from './attempt.mjs'
import { openConnections } from './connections.mjs'
import { chosenVerbs, finish, problem } from './report.mjs'

/** Each verb runs once without the fault first. That also loads the modules that load at first use. */
const ROUNDS = 3

let runs = 0
const taken = []
const exhaustion = {
  errno: 'EMFILE',
  begin() {
    try {
      for (;;) taken.push(openSync('/dev/null'))
    } catch (error) {
      if (error.code !== 'EMFILE') throw error
    }
  },
  end() {
    for (const fd of taken.splice(0)) closeSync(fd)
    return {}
  },
}
const nothing = { begin() {}, end: () => ({}) }

for (const [name, verb] of chosenVerbs()) {
  const { pairs, close } = await openConnections(1 + ROUNDS)
  if (verb.takesSilence) await sleep(1_100)
  const [first, ...others] = pairs
  const without = await attempt(verb, first, nothing)
  if (without.error) problem(`${name}, with descriptors left: ${without.error.stack}`)
  const outcomes = new Outcomes()
  for (const pair of others) {
    const found = await attempt(verb, pair, exhaustion, without.result)
    runs++
    outcomes.add(found.outcome)
    for (const each of found.problems) problem(`${name}, no descriptor left: ${each}`)
  }
  console.log(`${name}: ${outcomes}`)
  close()
  await sleep(20)
}
finish(runs)

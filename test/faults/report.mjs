import { verbs } from './verbs.mjs'

const problems = []
// A verb may warn about what it could not do.
process.on('warning', () => {})
process.on('uncaughtException', (error) => problem(`uncaught: ${error.stack}`))
process.on('unhandledRejection', (error) => problem(`unhandled: ${error?.stack ?? error}`))

export function problem(what) {
  problems.push(what)
}

/** Selects verbs by the parts of names on the command line. */
export function chosenVerbs() {
  const parts = process.argv.slice(2)
  return Object.entries(verbs).filter(
    ([name]) => parts.length === 0 || parts.some((part) => name.includes(part)),
  )
}

/** Prints the problems, and ends the process. */
export function finish(runs) {
  for (const each of problems) console.log(`not ok ${each}`)
  console.log(`${Math.max(0, runs - problems.length)} passed, ${problems.length} failed`)
  process.exit(problems.length > 0 || runs === 0 ? 1 : 0)
}

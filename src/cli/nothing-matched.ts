import type { Selection } from './selection.js'

/** That nothing was there to look at, which is something else than that all is well. */
export function nothingMatched({ pid, port, prefix }: Selection): string {
  const which = [
    ...(pid === undefined ? [] : [`of process ${pid}`]),
    ...(port === undefined ? [] : [`with port ${port}`]),
    ...(prefix === undefined ? [] : [`with an end in ${prefix}`]),
  ]
  // With a pid it is the process's own network namespace.
  const where = pid === undefined ? ['in this network namespace'] : []
  return `there is no TCP connection ${[...which, ...where].join(' ')}`
}

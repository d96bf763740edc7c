import type { Selection } from './selection.js'

/**
 * That nothing was there to look at, which is something else than that all is well.
 *
 * @param what the command is about.
 */
export function nothingMatched({ pid, port, prefix }: Selection, what = 'TCP connection'): string {
  const which = [
    ...(pid === undefined ? [] : [`of process ${pid}`]),
    ...(port === undefined ? [] : [`with port ${port}`]),
    ...(prefix === undefined ? [] : [`with an end in ${prefix}`]),
  ]
  // With a pid it is the process's own network namespace.
  const where = pid === undefined ? ['in this network namespace'] : []
  return `there is no ${what} ${[...which, ...where].join(' ')}`
}

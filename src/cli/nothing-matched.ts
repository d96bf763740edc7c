import type { Selection } from './selection.js'

/** That nothing was there to look at, which is something else than that all is well. */
export function nothingMatched({ pid, port, prefix }: Selection): string {
  const which = [
    ...(pid === undefined ? [] : [`of process ${pid}`]),
    ...(port === undefined ? [] : [`with port ${port}`]),
    ...(prefix === undefined ? [] : [`with an end in ${prefix}`]),
  ]
  return `there is no TCP connection ${[...which, 'in this network namespace'].join(' ')}`
}

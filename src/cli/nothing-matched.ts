/** What connections were asked for. */
interface Criteria {
  readonly pid?: number | undefined
  readonly port?: number | undefined
  readonly prefix?: { toString(): string } | undefined
}

/**
 * Says that no connection matched, so that an empty result is not taken for "nothing is wrong".
 *
 * @param what the command is about.
 */
export function nothingMatched({ pid, port, prefix }: Criteria, what = 'TCP connection'): string {
  const which = [
    ...(pid === undefined ? [] : [`of process ${pid}`]),
    ...(port === undefined ? [] : [`with port ${port}`]),
    ...(prefix === undefined ? [] : [`with an end in ${prefix}`]),
  ]
  // With a pid it is the process's own network namespace.
  const where = pid === undefined ? ['in this network namespace'] : []
  return `there is no ${what} ${[...which, ...where].join(' ')}`
}

/** The selection that the user gave. */
interface Criteria {
  readonly pid?: number | undefined
  readonly port?: number | undefined
  readonly prefix?: { toString(): string } | undefined
}

/**
 * The message that no connection matched, so that the user does not read an empty result as "nothing is wrong".
 *
 * @param what the kind of connection that the command selects.
 */
export function nothingMatched({ pid, port, prefix }: Criteria, what = 'TCP connection'): string {
  const which = [
    ...(pid === undefined ? [] : [`of process ${pid}`]),
    ...(port === undefined ? [] : [`with port ${port}`]),
    ...(prefix === undefined ? [] : [`with an end in ${prefix}`]),
  ]
  // With a pid, the command lists the network namespace of that process.
  const where = pid === undefined ? ['in this network namespace'] : []
  return `there is no ${what} ${[...which, ...where].join(' ')}`
}

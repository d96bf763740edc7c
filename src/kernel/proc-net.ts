// Parsers for the formats of /proc/net, proc(5). Pure. They skip lines that do not have the format.

/** Counters by group and name. */
export type Table = Map<string, Map<string, number>>

/** `snmp` and `netstat`: a line of names, then a line of values, both beginning with the group. */
export function parseSnmp(text: string): Table {
  const table: Table = new Map()
  let heading: { group: string; names: string[] } | undefined
  for (const line of text.split('\n')) {
    const parts = split(line)
    if (!parts) continue
    const [group, words] = parts
    if (heading?.group !== group) {
      heading = { group, names: words }
      continue
    }
    const { names } = heading
    heading = undefined
    // Skipped: the names cannot be matched with the values.
    if (names.length !== words.length) continue
    for (const [i, name] of names.entries()) put(table, group, name, words[i]!)
  }
  return table
}

/** `snmp6`: one counter per line. The group is the part of the name up to the 6. */
export function parseSnmp6(text: string): Table {
  const table: Table = new Map()
  for (const line of text.split('\n')) {
    const [, group, name, value] = /^([A-Za-z]+6)(\S+)\s+(\S+)$/.exec(line) ?? []
    if (group !== undefined) put(table, group, name!, value!)
  }
  return table
}

/** `sockstat` and `sockstat6`: one group per line, with names and values in turn. */
export function parseSockstat(text: string): Table {
  const table: Table = new Map()
  for (const line of text.split('\n')) {
    const parts = split(line)
    if (!parts || parts[1].length % 2 !== 0) continue
    const [group, words] = parts
    for (let i = 0; i < words.length; i += 2) put(table, group, words[i]!, words[i + 1]!)
  }
  return table
}

function split(line: string): [group: string, words: string[]] | undefined {
  const [group, ...words] = line.split(' ').filter((word) => word !== '')
  return group?.endsWith(':') && group.length > 1 ? [group.slice(0, -1), words] : undefined
}

function put(table: Table, group: string, name: string, word: string): void {
  const value = toNumber(word)
  if (value === undefined) return
  const counters = table.get(group)
  if (counters) counters.set(name, value)
  else table.set(group, new Map([[name, value]]))
}

function toNumber(word: string): number | undefined {
  if (!/^-?\d{1,20}$/.test(word)) return undefined
  const value = Number(word)
  // The kernel sums over the processors while they count, so a sum can be negative for a moment. It prints such a sum as unsigned.
  return Math.abs(value) < 2 ** 63 ? value : Number(BigInt.asIntN(64, BigInt(word)))
}

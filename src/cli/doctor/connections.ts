import type { SystemDefaults } from '../../host.js'
import type { Profile } from '../../index.js'
import { shortestMemory } from '../../path/hop-findings.js'
import { inWords } from '../../path/in-words.js'
import { judgeConnection } from '../../path/judge.js'
import type { Hop } from '../../plan.js'
import type { Connection } from '../selection.js'
import { type Diagnosis, summed } from './diagnosis.js'
import { nodeTraps } from './node-traps.js'
import type { NodeVersion } from './node-version.js'

/** A connection, and what was read of it. */
export interface WithOptions {
  readonly connection: Connection
  readonly profile: Profile
  /** What its process runs, where that is a Node. */
  readonly node: NodeVersion | undefined
}

/** A program that has not closed its side by then will not, ms. */
const LONG = 60_000

/** What the counters of connections say; needs no permission. Pure. */
export function examineCounters(connections: readonly Connection[], path: readonly Hop[]): Diagnosis[] {
  const memory = shortestMemory(path)
  return summed(
    connections.flatMap((connection) => {
      const { record, verdict, silentFor = 0 } = connection
      const about = { ...whose(connection), example: { local: record.local, remote: record.remote } }
      if (verdict === 'suspect' || verdict === 'dead') {
        return {
          ...about,
          severity: 'error',
          code: 'unanswered',
          message: 'The peer does not answer.',
          change: 'deadpeer probe tells which are gone; deadpeer ls --suspect shows what is unanswered.',
        } as const
      }
      if (record.state === 'close-wait' && silentFor >= LONG) {
        return {
          ...about,
          severity: 'warning',
          code: 'closed-by-peer',
          message: `The peer has closed its side, and this one has been open for ${inWords(LONG)} or more since: a descriptor leaks.`,
          change: "Close the socket on 'end', or leave allowHalfOpen off.",
        } as const
      }
      if (record.state === 'established' && silentFor > memory) {
        return {
          ...about,
          severity: 'error',
          code: 'forgotten-already',
          message: `Silent for longer than the ${inWords(memory)} that the path remembers: it may be gone there already.`,
          change: 'deadpeer probe tells.',
        } as const
      }
      return []
    }),
  )
}

/** What the options of connections come to on the path, and by which of Node's own doings they came. */
export function examineOptions(
  read: readonly WithOptions[],
  path: readonly Hop[],
  defaults: SystemDefaults,
): Diagnosis[] {
  return summed(
    read.flatMap(({ connection, profile, node }) => {
      const { local, remote } = connection.record
      const { process } = whose(connection)
      const about = {
        ...(process && { process: { ...process, ...(node !== undefined && { node }) } }),
        example: { local, remote },
      }
      return [
        ...judgeConnection(profile, path),
        ...(node === undefined ? [] : nodeTraps(node, profile, remote.port, defaults)),
      ].map((finding) => ({ ...about, ...finding }))
    }),
  )
}

function whose({ owners: [owner] }: Connection): Pick<Diagnosis, 'process'> {
  return owner ? { process: { pid: owner.pid, command: owner.command } } : {}
}

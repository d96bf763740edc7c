import { readDefaults } from '../host.js'
import { DeadpeerError } from '../index.js'
import { resolvePath } from '../path/resolve.js'
import type { HopName, OwnHop } from '../plan.js'
import { examineCounters, examineOptions, type WithOptions } from './doctor/connections.js'
import { bySeverity, type Diagnosis } from './doctor/diagnosis.js'
import { readNodeVersion } from './doctor/node-version.js'
import { examineSystem } from './doctor/system.js'
import { findZombies } from './doctor/zombies.js'
import { writeFindings } from './findings.js'
import { type Progress, withProgress } from './progress.js'
import { readOptions } from './read-options.js'
import { type Connection, isGone, type Selection, selectConnections } from './selection.js'
import { endWords, printable } from './socket-words.js'
import { complain, write } from './terminal.js'

export interface DoctorCommandOptions extends Selection {
  readonly hop?: readonly (HopName | OwnHop)[]
  readonly json?: boolean
}

/** What is wrong here, and what mends it. Returns the exit code: 1 where there is more than notes. */
export async function doctorCommand(options: DoctorCommandOptions, signal: AbortSignal): Promise<number> {
  const { pid, port, prefix, json } = options
  const path = resolvePath(options.hop ?? [])
  const isWhole = port === undefined && prefix === undefined
  const { connections, refused, found } = await withProgress('listing connections', async (progress) => {
    const connections = await selectConnections(options, ['established', 'syn-sent', 'close-wait'], signal)
    const established = connections.filter(({ record }) => record.state === 'established')
    const { read, refused } = await readOptionsOf(established, progress, signal)
    progress.say('looking for zombies')
    const defaults = readDefaults({ pid })
    const found = [
      ...examineSystem(defaults, path),
      ...examineCounters(connections, path),
      ...examineOptions(read, path, defaults),
      ...(isWhole ? await findZombies(pid, signal) : []),
    ].sort(bySeverity)
    return { connections, refused, found }
  })
  if (json) {
    const unread = refused.length
    write(JSON.stringify({ connections: connections.length, unread, findings: found }, undefined, 2))
  } else {
    write(`${connections.length} connections examined`)
    writeFindings(found.map((each) => ({ ...each, message: `${subject(each)}${each.message}` })))
    if (found.length === 0) write('nothing is wrong')
  }
  if (refused.length > 0) {
    complain(`of ${refused.length} connections the options were not read. ${refused[0]!.message}`)
  }
  return found.some(({ severity }) => severity !== 'note') ? 1 : 0
}

interface Read {
  readonly read: readonly WithOptions[]
  readonly refused: readonly DeadpeerError[]
}

/** Those that were closed meanwhile are left out. */
async function readOptionsOf(
  connections: readonly Connection[],
  progress: Progress,
  signal: AbortSignal,
): Promise<Read> {
  const options = await readOptions(connections, progress, signal)
  const owners = new Map(connections.flatMap(({ owners: [owner] }) => (owner ? [[owner.pid, owner]] : [])))
  const nodes = new Map([...owners].map(([pid, { command }]) => [pid, readNodeVersion(pid, command)]))
  return {
    read: connections.flatMap((connection, i) => {
      const profile = options[i]!
      const [owner] = connection.owners
      if (profile instanceof DeadpeerError || !owner) return []
      return [{ connection, profile, node: nodes.get(owner.pid) }]
    }),
    refused: options.filter((each) => each instanceof DeadpeerError).filter((error) => !isGone(error)),
  }
}

function nodeWords({ node }: NonNullable<Diagnosis['process']>): string {
  return node === undefined || node === 'unknown' ? '' : `, Node ${node}`
}

function subject({ process, connections, example }: Diagnosis): string {
  if (!example) return ''
  const who = process ? ` of ${printable(process.command)}(${process.pid}${nodeWords(process)})` : ''
  const which =
    'fd' in example ? `descriptor ${example.fd}` : `${endWords(example.local)} → ${endWords(example.remote)}`
  return `${connections === 1 ? 'A connection' : `${connections} connections`}${who}, ${connections === 1 ? '' : 'such as '}${which}: `
}

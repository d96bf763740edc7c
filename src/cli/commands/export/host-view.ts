import { readSocketOwners, type SocketRecord, type SocketState } from '../../../host/index.js'
import { DeadpeerError, type DeathReason, type Verdict } from '../../../index.js'
import { Slice } from '../../../kernel/slice.js'
import { type Change, ConnectionSampler } from '../../lib/connection-changes.js'
import { verdictOfRecord } from '../../lib/judge-record.js'
import { connectionStates, listRecords } from '../../lib/selection.js'
import { NOBODY, type ProcessGroups, UNKNOWN } from './process-groups.js'

/** Connections with the same state, verdict and process. */
export interface Alike {
  readonly state: SocketState
  readonly verdict: Verdict
  readonly process: string
  count: number
  /** Sums over these connections. */
  probes: number
  retransmissions: number
}

/** Counts of changes for a group of processes since the start. */
export interface Tally {
  suspicions: number
  recoveries: number
  readonly deaths: Record<HostDeathReason, number>
  /** The deaths that the program had not noticed. */
  unnoticed: number
  /** Suspects that ended before the kernel would have ended them. */
  ended: number
}

/** The reasons that can be determined for another process's connection. */
export type HostDeathReason = Exclude<DeathReason, 'unreachable' | 'heartbeat'>

/** The host's connections at one moment, and the changes until then. */
export interface HostSample {
  readonly connections: readonly Alike[]
  /** One item for each group. */
  readonly tallies: ReadonlyMap<string, Tally>
  readonly samples: number
  readonly failedSamples: number
  /** The duration of this sample in ms. */
  readonly took: number
}

/** Samples the host's connections, one sample at a time, and counts the changes between samples. */
export class HostView {
  readonly #groups: ProcessGroups
  readonly #signal: AbortSignal
  readonly #sampler: ConnectionSampler
  readonly #tallies = new Map<string, Tally>()
  #samples = 0
  #failedSamples = 0
  #last: Promise<unknown> = Promise.resolve()
  #next: Promise<HostSample> | undefined

  constructor(groups: ProcessGroups, signal: AbortSignal) {
    this.#groups = groups
    this.#signal = signal
    this.#sampler = new ConnectionSampler({}, signal)
  }

  /** Counts the changes. Ignores a refusal, such as a shortage of descriptors: the next sample may succeed. */
  async countChanges(): Promise<void> {
    await this.#inTurn(() => this.#countChanges()).catch((error: unknown) => {
      if (!(error instanceof DeadpeerError)) throw error
    })
  }

  /** The host as it is now. Calls during one sample share the next. */
  sample(): Promise<HostSample> {
    this.#next ??= this.#inTurn(() => {
      this.#next = undefined
      return this.#sample()
    })
    return this.#next
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    return done
  }

  async #countChanges(): Promise<void> {
    this.#samples++
    try {
      for (const change of await this.#sampler.sample()) this.#count(change)
    } catch (error) {
      this.#failedSamples++
      throw error
    }
  }

  async #sample(): Promise<HostSample> {
    const start = performance.now()
    await this.#countChanges()
    const connections = await this.#group(this.#sampler.connections)
    // Each group exports all its counters from the start: Prometheus does not count the rise of a counter that begins with 1.
    for (const name of this.#groups.names) this.#tallyOf(name)
    const took = performance.now() - start
    const [samples, failedSamples] = [this.#samples, this.#failedSamples]
    return { connections, tallies: structuredClone(this.#tallies), samples, failedSamples, took }
  }

  async #group(records: readonly SocketRecord[]): Promise<Alike[]> {
    const commandOf = await this.#readCommands(records)
    const slice = new Slice()
    const byCommand = new Map<string, SocketRecord[]>()
    for (const record of records) {
      if (slice.isOver) await slice.next()
      const command = commandOf(record)
      const known = byCommand.get(command)
      if (known) known.push(record)
      else byCommand.set(command, [record])
    }
    const found = new Map<string, Alike>()
    // The processes with most connections get a name of their own first.
    for (const [command, theirs] of [...byCommand].sort(([, a], [, b]) => b.length - a.length)) {
      const process = this.#groups.of(command)
      for (const record of theirs) {
        if (slice.isOver) await slice.next()
        add(found, record, process)
      }
    }
    return [...found.values()]
  }

  /** Maps a connection to the command of its process. */
  async #readCommands(records: readonly SocketRecord[]): Promise<(record: SocketRecord) => string> {
    const owners = await readSocketOwners(records.map(({ inode }) => inode))
    const hidden = await this.#hidden(records, owners)
    // A suspect counts for the process that had it, even if that process has just closed it.
    const suspects = new Map(this.#sampler.suspects.map((each) => [each.record.cookie, each.owners]))
    return (record) => {
      const suspected = suspects.get(record.cookie)
      const [owner] = suspected ?? owners.get(record.inode ?? -1) ?? []
      return owner?.command ?? (suspected || hidden.has(record) ? UNKNOWN : NOBODY)
    }
  }

  /** Connections of processes that this user may not see. A connection that was closed while the owners were read has no process. */
  async #hidden(
    records: readonly SocketRecord[],
    owners: ReadonlyMap<number, unknown>,
  ): Promise<ReadonlySet<SocketRecord>> {
    const ownerless = records.filter(({ inode }) => inode !== undefined && !owners.has(inode))
    if (ownerless.length === 0) return new Set()
    const query = { states: connectionStates, info: false, signal: this.#signal }
    const inodes = new Set((await listRecords({}, query)).map(({ inode }) => inode))
    return new Set(ownerless.filter(({ inode }) => inodes.has(inode)))
  }

  #count({ event, processes: [owner], reason, isNoticed }: Change): void {
    const tally = this.#tallyOf(this.#groups.of(owner?.command ?? UNKNOWN))
    switch (event) {
      case 'suspect':
        tally.suspicions++
        break
      case 'recover':
        tally.recoveries++
        break
      case 'dead':
        tally.deaths[reason as HostDeathReason]++
        if (isNoticed === false) tally.unnoticed++
        break
      default:
        tally.ended++
    }
  }

  #tallyOf(process: string): Tally {
    let tally = this.#tallies.get(process)
    if (!tally) {
      const deaths = { keepalive: 0, 'user-timeout': 0, retransmission: 0, reset: 0 }
      tally = { suspicions: 0, recoveries: 0, deaths, unnoticed: 0, ended: 0 }
      this.#tallies.set(process, tally)
    }
    return tally
  }
}

function add(found: Map<string, Alike>, record: SocketRecord, process: string): void {
  const { state } = record
  const verdict = verdictOfRecord(record)
  const key = `${state} ${verdict} ${process}`
  let alike = found.get(key)
  if (!alike) {
    alike = { state, verdict, process, count: 0, probes: 0, retransmissions: 0 }
    found.set(key, alike)
  }
  alike.count++
  if (verdict !== 'suspect') return
  alike.probes += record.readInfo('probes') ?? 0
  alike.retransmissions += record.readInfo('retransmits') ?? 0
}

import { readSocketOwners, type SocketRecord, type SocketState } from '../../../host/index.js'
import { DeadpeerError, type DeathReason, type Verdict } from '../../../index.js'
import { Slice } from '../../../kernel/slice.js'
import { type Change, Lookout } from '../../lib/connection-changes.js'
import { verdictOfRecord } from '../../lib/judge-record.js'
import { connectionStates, listRecords } from '../../lib/selection.js'
import { NOBODY, type ProcessGroups, UNKNOWN } from './process-groups.js'

/** Connections that are alike. */
export interface Alike {
  readonly state: SocketState
  readonly verdict: Verdict
  readonly process: string
  count: number
  /** Of all of them together. */
  probes: number
  retransmissions: number
}

/** What has been seen of a group of processes since the beginning. */
export interface Tally {
  suspicions: number
  recoveries: number
  readonly deaths: Record<HostDeathReason, number>
  /** Of the deaths: those that the program had not noticed. */
  unnoticed: number
  /** Suspects that ended before the kernel would have ended them. */
  ended: number
}

/** What can be told of another's connection. */
export type HostDeathReason = Exclude<DeathReason, 'unreachable' | 'heartbeat'>

/** The host's connections at one moment, and what has become of them until then. */
export interface HostSample {
  readonly connections: readonly Alike[]
  /** Of every group there is. */
  readonly tallies: ReadonlyMap<string, Tally>
  readonly looks: number
  readonly failedLooks: number
  /** How long it took, in ms. */
  readonly took: number
}

/** Looks at the host's connections, one look at a time, and counts what changes from one to the next. */
export class HostView {
  readonly #groups: ProcessGroups
  readonly #signal: AbortSignal
  readonly #lookout: Lookout
  readonly #tallies = new Map<string, Tally>()
  #looks = 0
  #failedLooks = 0
  #last: Promise<unknown> = Promise.resolve()
  #next: Promise<HostSample> | undefined

  constructor(groups: ProcessGroups, signal: AbortSignal) {
    this.#groups = groups
    this.#signal = signal
    this.#lookout = new Lookout({}, signal)
  }

  /** Counts what has changed. What is refused this time, descriptors being short, say, may be had the next. */
  async look(): Promise<void> {
    await this.#inTurn(() => this.#look()).catch((error: unknown) => {
      if (!(error instanceof DeadpeerError)) throw error
    })
  }

  /** The host as it is now. Those who ask while one look is under way have the next together. */
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

  async #look(): Promise<void> {
    this.#looks++
    try {
      for (const change of await this.#lookout.look()) this.#count(change)
    } catch (error) {
      this.#failedLooks++
      throw error
    }
  }

  async #sample(): Promise<HostSample> {
    const start = performance.now()
    await this.#look()
    const connections = await this.#group(this.#lookout.connections)
    // Each group has all its counters from when it is first told of: one that begins with 1 is not seen to rise.
    for (const name of this.#groups.names) this.#tallyOf(name)
    const took = performance.now() - start
    const [looks, failedLooks] = [this.#looks, this.#failedLooks]
    return { connections, tallies: structuredClone(this.#tallies), looks, failedLooks, took }
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
    // Those with most connections are given a place first.
    for (const [command, theirs] of [...byCommand].sort(([, a], [, b]) => b.length - a.length)) {
      const process = this.#groups.of(command)
      for (const record of theirs) {
        if (slice.isOver) await slice.next()
        add(found, record, process)
      }
    }
    return [...found.values()]
  }

  /** Whose each of them is. */
  async #readCommands(records: readonly SocketRecord[]): Promise<(record: SocketRecord) => string> {
    const owners = await readSocketOwners(records.map(({ inode }) => inode))
    const hidden = await this.#hidden(records, owners)
    // A suspect counts where it was suspected, also when its process has closed it just now.
    const suspects = new Map(this.#lookout.suspects.map((each) => [each.record.cookie, each.owners]))
    return (record) => {
      const suspected = suspects.get(record.cookie)
      const [owner] = suspected ?? owners.get(record.inode ?? -1) ?? []
      return owner?.command ?? (suspected || hidden.has(record) ? UNKNOWN : NOBODY)
    }
  }

  /** Those that somebody has whom one may not see. What was closed while the owners were read is not among them: nobody has that. */
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

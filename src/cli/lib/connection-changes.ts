import { readSocketOwners, type SocketEnd, type SocketOwner, type SocketRecord } from '../../host/index.js'
import { DeadpeerError, type DeathReason, inspect, type Profile } from '../../index.js'
import { Slice } from '../../kernel/slice.js'
import { isAbandoned, isSuspect, judgeRecord } from './judge-record.js'
import { borrow, connectionStates, listRecords, type Selection } from './selection.js'
import { endingOf, type Suspect } from './suspect-end.js'

/** A change of one connection between two samples. */
export interface Change {
  /** When it was observed. */
  readonly time: Date
  /**
   * - `suspect`: a probe or data is unacknowledged. `recover`: the peer has responded.
   * - `dead`: the kernel has given up a suspect. `gone`: a suspect ended before that, by a reset or by its program.
   * - `closing`: the program has closed a suspect.
   */
  readonly event: 'suspect' | 'recover' | 'dead' | 'gone' | 'closing'
  readonly local: SocketEnd
  readonly remote: SocketEnd
  readonly cookie: string
  readonly processes: readonly SocketOwner[]
  readonly reason?: DeathReason
  readonly evidence: string
  /** For `dead` and `gone`: whether the program has closed its socket. */
  readonly isNoticed?: boolean
}

/** Samples the host's connections periodically. Reads the owner and the options of suspects only. */
export class ConnectionSampler {
  readonly #selection: Selection
  readonly #signal: AbortSignal
  readonly #suspects = new Map<bigint, Suspect>()
  /** Suspects of other processes than the selected one. */
  readonly #others = new Set<bigint>()
  #connections: readonly SocketRecord[] = []

  constructor(selection: Selection, signal: AbortSignal) {
    this.#selection = selection
    this.#signal = signal
  }

  /** The connections of the last sample. */
  get connections(): readonly SocketRecord[] {
    return this.#connections
  }

  /** The connections with the verdict `suspect`. */
  get suspects(): readonly Suspect[] {
    return [...this.#suspects.values()]
  }

  /** Samples the connections. Returns the changes since the last sample. */
  async sample(): Promise<Change[]> {
    // The counters may be as old as the start of the listing, which takes a while on a busy machine.
    const sampledAt = performance.now()
    const query = { states: connectionStates, info: true, signal: this.#signal }
    this.#connections = await listRecords(this.#selection, query)
    const known = await this.#pickKnown()
    for (const cookie of this.#others) if (!known.has(cookie)) this.#others.delete(cookie)
    return [
      ...(await this.#sampleSuspects(known, sampledAt)),
      ...(await this.#findSuspects(known, sampledAt)),
    ]
  }

  /** The suspects of this sample and of the last one, by cookie. */
  async #pickKnown(): Promise<Map<bigint, Known>> {
    const known = new Map<bigint, Known>()
    const hadSuspects = this.#suspects.size > 0
    const slice = new Slice()
    for (const [i, record] of this.#connections.entries()) {
      // The clock is read for every 64th record only, because reading it takes as long as judging a record.
      if (i % 64 === 0 && slice.isOver) await slice.next()
      const found = { record, isSuspect: isSuspect(record) }
      if (found.isSuspect || (hadSuspects && this.#suspects.has(record.cookie)))
        known.set(record.cookie, found)
    }
    return known
  }

  /** Changes of connections that were suspect at the last sample. */
  async #sampleSuspects(known: ReadonlyMap<bigint, Known>, sampledAt: number): Promise<Change[]> {
    const changes: Change[] = []
    const now = performance.now()
    const slice = new Slice()
    for (const [cookie, suspect] of this.#suspects) {
      await slice.next()
      const found = known.get(cookie)
      if (found?.isSuspect) {
        this.#suspects.set(cookie, { ...suspect, record: found.record, sampledAt })
        continue
      }
      const what = found ? answerOrClose(found.record) : endingOf(suspect, now)
      if (!what) continue
      this.#suspects.delete(cookie)
      changes.push(change(suspect, what))
    }
    return changes
  }

  /** Connections that have become suspect. */
  async #findSuspects(known: ReadonlyMap<bigint, Known>, sampledAt: number): Promise<Change[]> {
    const fresh = [...known].flatMap(([cookie, { record, isSuspect }]) =>
      isSuspect && !this.#suspects.has(cookie) && !this.#others.has(cookie) ? [record] : [],
    )
    const owners = await readSocketOwners(fresh.map(({ inode }) => inode))
    const { pid } = this.#selection
    const changes: Change[] = []
    const slice = new Slice()
    for (const record of fresh) {
      await slice.next()
      const holders = owners.get(record.inode ?? -1) ?? []
      const own = pid === undefined ? holders : holders.filter((each) => each.pid === pid)
      if (pid !== undefined && own.length === 0) {
        this.#others.add(record.cookie)
        continue
      }
      const suspect = { record, owners: own, profile: readProfile(record, own), sampledAt }
      this.#suspects.set(record.cookie, suspect)
      changes.push(change(suspect, { event: 'suspect', evidence: judgeRecord(record).evidence }))
    }
    return changes
  }
}

interface Known {
  readonly record: SocketRecord
  readonly isSuspect: boolean
}

function answerOrClose(record: SocketRecord): What {
  return isAbandoned(record)
    ? { event: 'closing', evidence: 'its program has closed it' }
    : { event: 'recover', evidence: 'the peer has responded' }
}

function readProfile(record: SocketRecord, owners: readonly SocketOwner[]): Profile | undefined {
  try {
    return inspect(borrow({ record, owners })).profile
  } catch (error) {
    if (error instanceof DeadpeerError) return undefined
    throw error
  }
}

type What = Pick<Change, 'event' | 'reason' | 'evidence' | 'isNoticed'>

function change({ record, owners }: Suspect, what: What): Change {
  const { local, remote, cookie } = record
  return { time: new Date(), ...what, local, remote, cookie: cookie.toString(), processes: owners }
}

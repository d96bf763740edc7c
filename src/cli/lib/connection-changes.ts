import { readSocketOwners, type SocketEnd, type SocketOwner, type SocketRecord } from '../../host/index.js'
import { DeadpeerError, type DeathReason, inspect, type Profile } from '../../index.js'
import { Slice } from '../../kernel/slice.js'
import { isAbandoned, isSuspect, judgeRecord } from './judge-record.js'
import { borrow, connectionStates, listRecords, type Selection } from './selection.js'
import { endingOf, type Suspect } from './suspect-end.js'

/** Something that has changed. */
export interface Change {
  /** When it was seen. */
  readonly time: Date
  /**
   * - `suspect`: something is unanswered. `recover`: not any more.
   * - `dead`: a suspect that the kernel has given up. `gone`: one that has ended before its time, by a reset or by its program.
   * - `closing`: a suspect that its program has closed.
   */
  readonly event: 'suspect' | 'recover' | 'dead' | 'gone' | 'closing'
  readonly local: SocketEnd
  readonly remote: SocketEnd
  readonly cookie: string
  readonly processes: readonly SocketOwner[]
  readonly reason?: DeathReason
  readonly evidence: string
  /** Of one that has ended: whether its program has closed it. */
  readonly isNoticed?: boolean
}

/** Samples the host's connections periodically. Reads the owner and the options of suspects only. */
export class Lookout {
  readonly #selection: Selection
  readonly #signal: AbortSignal
  readonly #suspects = new Map<bigint, Suspect>()
  /** Suspects that are not of the process that is meant. */
  readonly #others = new Set<bigint>()
  #connections: readonly SocketRecord[] = []

  constructor(selection: Selection, signal: AbortSignal) {
    this.#selection = selection
    this.#signal = signal
  }

  /** All that there were at the last look: what is told of it goes by this list. */
  get connections(): readonly SocketRecord[] {
    return this.#connections
  }

  /** Those whose verdict is `suspect`. */
  get suspects(): readonly Suspect[] {
    return [...this.#suspects.values()]
  }

  /** What has changed since the last look. */
  async look(): Promise<Change[]> {
    // A look is as old as when it began: on a busy machine that is a while ago.
    const seenAt = performance.now()
    const query = { states: connectionStates, info: true, signal: this.#signal }
    this.#connections = await listRecords(this.#selection, query)
    const known = await this.#pickKnown()
    for (const cookie of this.#others) if (!known.has(cookie)) this.#others.delete(cookie)
    return [...(await this.#lookAgain(known, seenAt)), ...(await this.#find(known, seenAt))]
  }

  /** By cookie: the suspects, and those that were. */
  async #pickKnown(): Promise<Map<bigint, Known>> {
    const known = new Map<bigint, Known>()
    const wereAny = this.#suspects.size > 0
    const slice = new Slice()
    for (const [i, record] of this.#connections.entries()) {
      // Reading the clock takes as long as judging a record.
      if (i % 64 === 0 && slice.isOver) await slice.next()
      const found = { record, isSuspect: isSuspect(record) }
      if (found.isSuspect || (wereAny && this.#suspects.has(record.cookie))) known.set(record.cookie, found)
    }
    return known
  }

  /** At those that were suspect. */
  async #lookAgain(known: ReadonlyMap<bigint, Known>, seenAt: number): Promise<Change[]> {
    const changes: Change[] = []
    const now = performance.now()
    const slice = new Slice()
    for (const [cookie, suspect] of this.#suspects) {
      await slice.next()
      const found = known.get(cookie)
      if (found?.isSuspect) {
        this.#suspects.set(cookie, { ...suspect, record: found.record, seenAt })
        continue
      }
      const what = found ? answerOrClose(found.record) : endingOf(suspect, now)
      if (!what) continue
      this.#suspects.delete(cookie)
      changes.push(change(suspect, what))
    }
    return changes
  }

  /** Those that are suspect since. */
  async #find(known: ReadonlyMap<bigint, Known>, seenAt: number): Promise<Change[]> {
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
      const suspect = { record, owners: own, profile: readProfile(record, own), seenAt }
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
    : { event: 'recover', evidence: 'the peer has answered' }
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

import {
  readSocketOwners,
  type SocketEnd,
  type SocketOwner,
  type SocketRecord,
  type SocketState,
} from '../../host.js'
import { DeadpeerError, type DeathReason, inspect, type Profile } from '../../index.js'
import { Slice } from '../../kernel/slice.js'
import { judgeRecord } from '../judge-record.js'
import { borrow, connectionStates, listRecords, type Selection } from '../selection.js'
import { endingOf, type Suspect } from './ending.js'

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

/** Those that a program still has to do with. */
const open: ReadonlySet<SocketState> = new Set(['established', 'syn-sent', 'close-wait'])

/**
 * Looks at the host's connections time and again. As long as all is well that is the kernel's list without counters; whose they are, and what
 * they have set, is asked only of those in trouble.
 */
export class Lookout {
  readonly #selection: Selection
  readonly #signal: AbortSignal
  readonly #suspects = new Map<bigint, Suspect>()
  /** In trouble, and not of the process that is meant. */
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

  /** Those in trouble. */
  get suspects(): readonly Suspect[] {
    return [...this.#suspects.values()]
  }

  /** What has changed since the last look. */
  async look(): Promise<Change[]> {
    const records = await this.#list(false)
    this.#connections = records
    const troubled = new Set(records.filter(isTroubled).map(({ cookie }) => cookie))
    for (const cookie of this.#others) if (!troubled.has(cookie)) this.#others.delete(cookie)
    if (troubled.size === this.#others.size && this.#suspects.size === 0) return []
    // A look is as old as when it began: on a busy machine that is a while ago.
    const seenAt = performance.now()
    const known = await this.#listKnown()
    return [...(await this.#lookAgain(known, seenAt)), ...(await this.#find(known, seenAt))]
  }

  /** By cookie, with tcp_info: those in trouble, and those that were. */
  async #listKnown(): Promise<Map<bigint, SocketRecord>> {
    const known = new Map<bigint, SocketRecord>()
    const slice = new Slice()
    this.#connections = await this.#list(true)
    for (const record of this.#connections) {
      if (slice.isOver) await slice.next()
      const { cookie } = record
      if (isTroubled(record) || this.#suspects.has(cookie)) known.set(cookie, record)
    }
    return known
  }

  #list(info: boolean): Promise<SocketRecord[]> {
    return listRecords(this.#selection, { states: connectionStates, info, signal: this.#signal })
  }

  /** At those that were in trouble. */
  async #lookAgain(known: ReadonlyMap<bigint, SocketRecord>, seenAt: number): Promise<Change[]> {
    const changes: Change[] = []
    const now = performance.now()
    const slice = new Slice()
    for (const [cookie, suspect] of this.#suspects) {
      await slice.next()
      const record = known.get(cookie)
      if (record && isTroubled(record)) {
        this.#suspects.set(cookie, { ...suspect, record, seenAt })
        continue
      }
      const what = record ? answerOrClose(record) : endingOf(suspect, now)
      if (!what) continue
      this.#suspects.delete(cookie)
      changes.push(change(suspect, what))
    }
    return changes
  }

  /** Those that are in trouble since. */
  async #find(known: ReadonlyMap<bigint, SocketRecord>, seenAt: number): Promise<Change[]> {
    const fresh = [...known.values()].filter(
      (record) =>
        isTroubled(record) && !this.#suspects.has(record.cookie) && !this.#others.has(record.cookie),
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

/** Something is unanswered: the timers count that, without tcp_info. */
export function isTroubled({ state, timer, retries }: SocketRecord): boolean {
  return retries > 0 && open.has(state) && timer !== 'off' && timer !== 'time-wait'
}

function answerOrClose({ state }: SocketRecord): What {
  return open.has(state)
    ? { event: 'recover', evidence: 'the peer has answered' }
    : { event: 'closing', evidence: 'its program has closed it' }
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

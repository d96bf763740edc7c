import {
  readSocketOwners,
  type SocketEnd,
  type SocketOwner,
  type SocketRecord,
  type SocketState,
} from '../../host.js'
import { DeadpeerError, type DeathReason, inspect, type Profile } from '../../index.js'
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
  /** At the last look. */
  connections = 0

  constructor(selection: Selection, signal: AbortSignal) {
    this.#selection = selection
    this.#signal = signal
  }

  /** Those in trouble. */
  get suspects(): readonly Suspect[] {
    return [...this.#suspects.values()]
  }

  /** What has changed since the last look. */
  async look(): Promise<Change[]> {
    const records = await this.#list(false)
    this.connections = records.length
    const troubled = new Set(records.filter(isTroubled).map(({ cookie }) => cookie))
    for (const cookie of this.#others) if (!troubled.has(cookie)) this.#others.delete(cookie)
    if (troubled.size === this.#others.size && this.#suspects.size === 0) return []
    const known = new Map((await this.#list(true)).map((record) => [record.cookie, record]))
    const now = performance.now()
    const changes = [...this.#suspects.values()].flatMap((suspect) => this.#lookAgain(suspect, known, now))
    return [...changes, ...(await this.#find(known, now))]
  }

  #list(info: boolean): Promise<SocketRecord[]> {
    return listRecords(this.#selection, { states: connectionStates, info, signal: this.#signal })
  }

  #lookAgain(suspect: Suspect, known: ReadonlyMap<bigint, SocketRecord>, now: number): Change[] {
    const { cookie } = suspect.record
    const record = known.get(cookie)
    if (record && isTroubled(record)) {
      this.#suspects.set(cookie, { ...suspect, record, seenAt: now })
      return []
    }
    const what = record ? answerOrClose(record) : endingOf(suspect, now)
    if (!what) return []
    this.#suspects.delete(cookie)
    return [change(suspect, what)]
  }

  async #find(known: ReadonlyMap<bigint, SocketRecord>, now: number): Promise<Change[]> {
    const fresh = [...known.values()].filter(
      (record) =>
        isTroubled(record) && !this.#suspects.has(record.cookie) && !this.#others.has(record.cookie),
    )
    const owners = await readSocketOwners(fresh.map(({ inode }) => inode))
    const { pid } = this.#selection
    return fresh.flatMap((record) => {
      const holders = owners.get(record.inode ?? -1) ?? []
      const own = pid === undefined ? holders : holders.filter((each) => each.pid === pid)
      if (pid !== undefined && own.length === 0) {
        this.#others.add(record.cookie)
        return []
      }
      const suspect = { record, owners: own, profile: readProfile(record, own), seenAt: now }
      this.#suspects.set(record.cookie, suspect)
      return [change(suspect, { event: 'suspect', evidence: judgeRecord(record).evidence })]
    })
  }
}

/** Something is unanswered: the timers count that, without tcp_info. */
function isTroubled({ state, timer, retries }: SocketRecord): boolean {
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

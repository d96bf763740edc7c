import { attend, freshPulse, type Heartbeat, type Pulse, suspicionOf } from '../detect/pulse.js'
import type { NativeCore } from '../kernel/binding.js'
import { examine, type Keepalive, type Look } from '../kernel/liveness.js'
import { askOne } from '../probe/asking.js'
import type { Subject } from '../probe/subject.js'
import type { ProbeResult } from '../probe.js'
import { noteHeard } from '../socket/heard.js'
import { liftedBy } from '../socket/lifted.js'
import type { Handle } from '../socket/target.js'
import { Schedule } from './schedule.js'

/** Who is told what attention finds. */
export interface Concerned {
  /** Whether suspicion is of interest; else only the heartbeat's questions are asked. */
  isWary(): boolean
  suspected(evidence: string, silentFor: number): void
  recovered(): void
  /** The heartbeat went unanswered. */
  silent(result: ProbeResult): void
}

const schedule = new Schedule<Attention>(lookAtAll)

/** One connection that is looked at now and then, and asked, for one watcher. */
export class Attention {
  readonly #core: NativeCore
  readonly #subject: Subject
  readonly #heartbeat: Heartbeat | undefined
  readonly #concerned: Concerned
  #pulse: Pulse | undefined
  #own: Keepalive | undefined
  /** The kernel's clock less performance.now(), ms. */
  #offset = 0
  #isOver = false

  constructor(
    core: NativeCore,
    handle: Handle,
    cookie: bigint,
    heartbeat: Heartbeat | undefined,
    concerned: Concerned,
  ) {
    this.#core = core
    this.#subject = { cookie, handle }
    this.#heartbeat = heartbeat
    this.#concerned = concerned
    this.renew()
  }

  get core(): NativeCore {
    return this.#core
  }

  get fd(): number {
    return this.#subject.handle?.fd ?? -1
  }

  get cookie(): bigint {
    return this.#subject.cookie
  }

  /** Looks anew, as what is of interest has changed. */
  renew(): void {
    schedule.at(this, performance.now())
  }

  stop(): void {
    this.#isOver = true
    schedule.cancel(this)
  }

  see(look: Look, options: Keepalive): void {
    if (this.#isOver) return
    this.#offset = look.seenAt - performance.now()
    this.#own = liftedBy(this.cookie)?.own ?? options
    noteHeard(this.#subject.handle, look.heardAt)
    this.#pulse ??= freshPulse(look.heardAt, this.#heartbeat, Math.random())
    const { pulse, event, isToBeAsked, lookAt } = attend(
      this.#pulse,
      look,
      this.#own,
      this.#heartbeat,
      Math.random(),
    )
    this.#pulse = pulse
    if (isToBeAsked) this.#ask()
    this.#lookAgain(lookAt)
    if (event === 'suspect') this.#concerned.suspected(suspicionOf(look), look.seenAt - look.heardAt)
    if (event === 'recover') this.#concerned.recovered()
  }

  #lookAgain(lookAt: number): void {
    const at = this.#concerned.isWary() ? lookAt : this.#pulse!.beatAt
    if (!this.#isOver) schedule.at(this, at - this.#offset)
  }

  #ask(): void {
    const { attempts, timeout } = this.#heartbeat!
    askOne(this.#core, this.#subject, {
      attempts,
      timeout,
      resolve: (result) => this.#answered(result),
      // What is refused to a question is refused to the next as well: a sandbox. The kernel's own clock remains.
      reject: (error) => process.emitWarning(error),
    })
  }

  #answered(result: ProbeResult): void {
    if (this.#isOver || result.evidence === 'closed') return
    if (result.alive === false) {
      this.#concerned.silent(result)
      return
    }
    const now = performance.now() + this.#offset
    if (result.alive) this.#heard(now - result.idleFor)
    // The kernel is asking, and has not done so often enough; or a closed window lets it ask but seldom.
    else this.#askAgainAt(now + (result.evidence === 'window-probe' ? this.#heartbeat!.every : 0))
  }

  #heard(heardAt: number): void {
    const wasSuspect = this.#pulse!.isSuspect
    this.#pulse = freshPulse(heardAt, this.#heartbeat, Math.random())
    if (this.#concerned.isWary()) this.renew()
    else this.#lookAgain(this.#pulse.beatAt)
    if (wasSuspect) this.#concerned.recovered()
  }

  #askAgainAt(beatAt: number): void {
    this.#pulse = { ...this.#pulse!, beatAt }
    this.#lookAgain(beatAt)
  }
}

function lookAtAll(all: readonly Attention[]): void {
  const [first] = all
  if (!first) return
  const seen = examine(first.core, all)
  for (const [i, found] of seen.entries()) {
    // What is closed says so by itself.
    if (typeof found !== 'number') all[i]!.see(found.look, found.options)
  }
}

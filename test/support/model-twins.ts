import type { Keepalive } from '../../src/kernel/liveness.js'
import type { OptionValues } from '../../src/kernel/socket-options.js'
import { overlayOf } from '../../src/overlay/overlay.js'
import { writeOwnOptions } from '../../src/overlay/own-options.js'
import type { ProbeResult } from '../../src/probe/result.js'
import { startProbes } from '../../src/probe/sessions.js'
import { JIFFY, ModelConnection, modelCore, type Outage } from './keepalive-model.js'
import { onVirtualTime, VirtualTime } from './virtual-time.js'

/** What happens to both, in ms after the peer was last heard. */
export interface Schedule {
  readonly options: Keepalive
  /** Keepalive is switched on so long after the peer was last heard, not before; 0: from the start. */
  readonly enabledAt: number
  readonly outages: readonly Outage[]
  readonly questions: readonly {
    at: number
    attempts: number
    timeout: number
    abortAfter?: number
    blockAfter?: number
    blockFor?: number
  }[]
  readonly writes: readonly number[]
  readonly spoken: readonly number[]
  /** What the peer says is read at once, so that the kernel does not take it the short way. */
  readonly isReading: boolean
  readonly tunes: readonly { at: number; values: OptionValues }[]
  /** The event loop is blocked. */
  readonly blocks: readonly { at: number; ms: number }[]
  /** The process is stopped before its n-th system call; but not in the microseconds between a look and what it
   * leads to, but for a question. */
  readonly stops: readonly { call: number; ms: number }[]
}

export interface Outcome {
  readonly twin: ModelConnection
  readonly probed: ModelConnection
  readonly results: readonly ProbeResult[]
  readonly isLeftOver: boolean
  /** When the peer was first heard after the twin's death. */
  readonly heardAfter: number
  /** The twin was heard within two ticks of the probed one's death. */
  readonly isClose: boolean
  /** How long the process was stopped or blocked altogether. */
  readonly idle: number
}

const FD = 7
/** By then all that was to happen has, and the peer speaks to those that live. */
const REUNION = 200_000

let cookies = FD

/** A connection that is asked beside a twin that is not. */
export async function play(schedule: Schedule): Promise<Outcome> {
  const time = new VirtualTime()
  // The pace of probes is remembered from one run to the next.
  const epoch = 1e9 * ++cookies
  const fd = cookies
  const { options, outages } = schedule
  const from = schedule.enabledAt > 0 ? { ...options, enable: false } : options
  const twin = new ModelConnection(from, outages)
  const probed = new ModelConnection(from, outages)
  const pair = [twin, probed]
  // Heard by one, heard by both: they are to differ by the questions, and not by whether an outage met the one or the other.
  let heardAfter = Number.POSITIVE_INFINITY
  let isClose = false
  let heard: number | undefined
  for (const each of pair)
    each.onHeard = (at) => {
      heard = at
    }
  const tellBoth = () => {
    if (heard === undefined) return
    if (!twin.isOpen) heardAfter = Math.min(heardAfter, heard)
    else if (!probed.isOpen) isClose ||= heard <= probed.diedAt + 2 * JIFFY
    probed.hear(heard)
    if (twin.heardAt !== heard) {
      twin.hear(heard)
      twin.bringForward(twin.options.initialDelay)
    }
    heard = undefined
  }
  const spoken = [...schedule.spoken, REUNION].sort((a, b) => a - b)
  const catchUp = (now: number) => {
    for (;;) {
      const next = Math.min(twin.next, probed.next, spoken[0] ?? Number.POSITIVE_INFINITY)
      if (heard !== undefined && next > heard) tellBoth()
      if (next > now) return
      if (next === spoken[0]) {
        spoken.shift()
        if (!twin.isOpen) heardAfter = Math.min(heardAfter, next)
        else if (!probed.isOpen) isClose ||= next <= probed.diedAt + 2 * JIFFY
        for (const each of pair)
          next === REUNION || schedule.isReading ? each.hear(next) : each.hearData(next)
      } else if (next === twin.next) twin.happen()
      else probed.happen()
    }
  }
  const stops = new Map(schedule.stops.map(({ call, ms }) => [call, ms]))
  let calls = 0
  let idle = 0
  const pass = (ms: number) => {
    time.pass(ms)
    idle += ms
  }
  const enter = (mayStop = true) => {
    if (mayStop) pass(stops.get(calls++) ?? 0)
    catchUp(time.now - epoch)
    return time.now - epoch
  }
  const connections = new Map([[fd, probed]])
  const core = modelCore(connections, { enter })
  const results: Promise<ProbeResult>[] = []
  time.now = epoch
  await onVirtualTime(time, async () => {
    const at = (ms: number, run: (now: number) => void) =>
      time.at(epoch + ms, () => {
        catchUp(time.now - epoch)
        run(time.now - epoch)
      })
    if (schedule.enabledAt > 0) {
      at(schedule.enabledAt, (now) => {
        twin.set('enable', true, now)
        writeOwnOptions(core, fd, { enable: true })
      })
    }
    for (const { at: when, attempts, timeout, abortAfter, blockAfter, blockFor } of schedule.questions) {
      at(when, () => {
        const abort = new AbortController()
        results.push(...startProbes(core, [fd], { attempts, timeout, signal: abort.signal }))
        if (blockAfter !== undefined && blockFor !== undefined)
          at(time.now - epoch + blockAfter, () => pass(blockFor))
        if (abortAfter !== undefined) at(time.now - epoch + abortAfter, () => abort.abort())
      })
    }
    for (const when of schedule.writes) {
      at(when, (now) => {
        for (const each of pair) each.write(now)
      })
    }
    for (const { at: when, values } of schedule.tunes) {
      at(when, (now) => {
        if (!probed.isOpen || !twin.isOpen) return
        for (const name of ['enable', 'interval', 'count', 'userTimeout', 'initialDelay'] as const) {
          if (values[name] !== undefined) twin.set(name, values[name], now)
        }
        writeOwnOptions(core, fd, values)
      })
    }
    for (const { at: when, ms } of schedule.blocks) at(when, () => pass(ms))
    await time.runUntil(epoch + REUNION + 5_000)
    catchUp(time.now - epoch)
  })
  return {
    twin,
    probed,
    results: await Promise.all(results),
    heardAfter,
    isClose,
    isLeftOver: overlayOf(BigInt(fd)) !== undefined,
    idle,
  }
}

/** Nothing of what may happen. */
export const still: Omit<Schedule, 'options' | 'outages' | 'questions'> = {
  enabledAt: 0,
  writes: [],
  spoken: [],
  isReading: false,
  tunes: [],
  blocks: [],
  stops: [],
}

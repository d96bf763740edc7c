import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'
import type { ProbeResult, Profile } from '../../src/index.js'
import { nextMessage } from './next-message.js'

/** What happens to a connection and to its twin, `at` ms after their peers were last heard; only the first of them is asked. */
export type Event = { readonly at: number } & (
  | { readonly does: 'outage' | 'over' | 'write' | 'speak' | 'enable' }
  | {
      readonly does: 'ask'
      readonly attempts?: number
      readonly timeout?: number
      readonly abortAfter?: number
      /** By probeAll. */
      readonly all?: boolean
      /** The event loop is blocked, or the process stopped, between the question and the kernel's next tick. */
      readonly blockFor?: number
      readonly stopFor?: number
    }
  | { readonly does: 'tune'; readonly values: Profile }
  | { readonly does: 'block'; readonly ms: number }
)

export interface Schedule {
  readonly profile: Profile
  readonly events: readonly Event[]
  /** When the peers come back to those that are alive. */
  readonly until: number
  /** Whether what the peer says is read. */
  readonly isReading?: boolean
}

/** What became of one connection. */
export interface Fate {
  /** ms after the start, and after its peer was last heard; `null` where it lives. */
  readonly died: number | null
  readonly silentFor: number | null
  readonly code: string | null
  /** Of one that lives, once all is settled. */
  readonly profile?: Profile
  readonly pending?: Profile
  readonly probes?: number
  readonly unacked?: number
}

export interface Played {
  /** The options at the start. */
  readonly before: Profile
  readonly answers: readonly (ProbeResult & { readonly at: number })[]
  /** How late an event was at most, ms. */
  readonly late: number
  readonly probed: Fate
  readonly twin: Fate
}

const ending: (() => void)[] = []
afterAll(() => {
  for (const end of ending) end()
})

/** Plays schedules together in a process of their own; one that blocks or is stopped holds up all of them. */
export async function play(schedules: readonly Schedule[]): Promise<Played[]> {
  const script = fileURLToPath(new URL('../loopback/fixtures/play-schedules.mjs', import.meta.url))
  const child = fork(script, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  ending.push(() => child.kill('SIGKILL'))
  child.send(schedules)
  return nextMessage(child)
}

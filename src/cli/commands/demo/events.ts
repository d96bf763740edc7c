import type { ProbeResult, Profile } from '../../../index.js'

/** The connections of the demo, by name. */
export type Name = 'untouched' | 'setKeepAlive' | 'backpressured' | 'watched' | 'lan' | 'kernel' | 'heartbeat'

/**
 * What happens in the demo, in order. All times are in ms; `t` is since the peers went silent, 0 before that; a
 * prediction of `null` is "never". These are the lines of `--json`: their keys are stable.
 */
export type DemoEvent = Opened | Silence | Probe | Death | Noticed | Vanished | Asked | Waiting | Summary

interface At {
  readonly t: number
}

/** A connection is ready, with these settings in force and this death predicted from them. */
export interface Opened extends At {
  readonly event: 'open'
  readonly connection: Name
  readonly label: string
  readonly profile: Profile
  readonly predicted: number | null
}

/** Every peer has gone silent. */
export interface Silence extends At {
  readonly event: 'silence'
}

/** The kernel has had no answer to so many keepalive probes. */
export interface Probe extends At {
  readonly event: 'probe'
  readonly connection: Name
  readonly unanswered: number
}

/** The kernel has given a connection up. */
export interface Death extends At {
  readonly event: 'death'
  readonly connection: Name
  /** Whether Node has said so: `false` is a zombie. */
  readonly noticed: boolean
  /** The code of Node's error. */
  readonly error: string | null
  readonly predicted: number | null
  /** Since the peer was last heard, which is when the kernel's clock starts. */
  readonly actual: number
}

/** Node has noticed after all what it had not. */
export interface Noticed extends At {
  readonly event: 'noticed'
  readonly connection: Name
  readonly error: string | null
  /** Since the peer was last heard. */
  readonly actual: number
}

/** Of a pool of other, idle connections, so many peers are gone as well. */
export interface Vanished extends At {
  readonly event: 'vanished'
  readonly connections: number
  readonly vanished: number
}

/** All of the pool were asked at once. */
export interface Asked extends At {
  readonly event: 'asked'
  readonly took: number
  readonly answered: number
  /** Live ones that were called silent, and silent ones that were not. */
  readonly wrong: number
  /** Live ones that are open, and have the options that they had. */
  readonly untouched: number
  readonly silent: readonly Silent[]
}

export interface Silent extends Pick<ProbeResult, 'evidence' | 'attempts' | 'idleFor'> {
  /** Its own, by which `ss` finds it. */
  readonly port: number
}

/** The end has come, and this connection is still open. */
export interface Waiting extends At {
  readonly event: 'waiting'
  readonly connection: Name
  readonly predicted: number | null
}

/** The last event. */
export interface Summary extends At {
  readonly event: 'summary'
  /** Whether every tuned connection died within its prediction, and of the pool just those were called silent that were. */
  readonly ok: boolean
  /** Which did not, in words. */
  readonly failures: readonly string[]
  readonly connections: readonly Outcome[]
}

export interface Outcome {
  readonly connection: Name
  readonly state: 'dead' | 'zombie' | 'open'
  readonly predicted: number | null
  readonly actual: number | null
}

/** Draws the demo. It gets every event, and `end` also where there is no summary. */
export interface Renderer {
  show(event: DemoEvent): void
  end(): void
}

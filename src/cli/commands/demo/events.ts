import type { ProbeResult, Profile } from '../../../index.js'

/** The connections of the demo, by name. */
export type Name = 'untouched' | 'setKeepAlive' | 'backpressured' | 'watched' | 'lan' | 'kernel' | 'heartbeat'

/**
 * The events of the demo, in order. All times are in ms; `t` counts from when the peers vanished, and is 0 before that; a
 * prediction of `null` means never. These are the lines of `--json`: their keys are stable.
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

/** Every peer has vanished. */
export interface Silence extends At {
  readonly event: 'silence'
}

/** The number of unacknowledged keepalive probes has changed. */
export interface Probe extends At {
  readonly event: 'probe'
  readonly connection: Name
  readonly unanswered: number
}

/** The kernel has given a connection up. */
export interface Death extends At {
  readonly event: 'death'
  readonly connection: Name
  /** Whether Node reported it. If not, the program still holds the dead connection. */
  readonly noticed: boolean
  /** The code of Node's error. */
  readonly error: string | null
  readonly predicted: number | null
  /** Time since the peer was last heard. The kernel's timer starts then. */
  readonly actual: number
}

/** Node has noticed a death late. */
export interface Noticed extends At {
  readonly event: 'noticed'
  readonly connection: Name
  readonly error: string | null
  /** Time since the peer was last heard. */
  readonly actual: number
}

/** Some peers of a pool of other, idle connections have vanished as well. */
export interface Vanished extends At {
  readonly event: 'vanished'
  readonly connections: number
  readonly vanished: number
}

/** All connections of the pool were probed at once. */
export interface Asked extends At {
  readonly event: 'asked'
  readonly took: number
  readonly answered: number
  /** The number of wrong verdicts: live peers reported as unresponsive, and vanished peers reported as alive. */
  readonly wrong: number
  /** The number of live connections that are still open with the same options. */
  readonly untouched: number
  readonly silent: readonly Silent[]
}

export interface Silent extends Pick<ProbeResult, 'evidence' | 'attempts' | 'idleFor'> {
  /** The local port, by which `ss` finds it. */
  readonly port: number
}

/** The demo ends, and this connection is still open. */
export interface Waiting extends At {
  readonly event: 'waiting'
  readonly connection: Name
  readonly predicted: number | null
}

/** The last event. */
export interface Summary extends At {
  readonly event: 'summary'
  /** Whether every tuned connection died as predicted and every verdict on the pool was right. */
  readonly ok: boolean
  /** The failures in words. */
  readonly failures: readonly string[]
  readonly connections: readonly Outcome[]
}

export interface Outcome {
  readonly connection: Name
  readonly state: 'dead' | 'zombie' | 'open'
  readonly predicted: number | null
  readonly actual: number | null
}

/** Draws the demo. It receives every event. `end` is called even without a summary. */
export interface Renderer {
  show(event: DemoEvent): void
  end(): void
}

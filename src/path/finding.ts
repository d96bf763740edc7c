/** `error`: connections will hang, break or be refused. `warning`: they may. `note`: good to know. */
export type Severity = 'error' | 'warning' | 'note'

/**
 * Something about a path, or about what is set for it, that one may not expect. Match `code`: it is stable.
 *
 * - `keepalive-off`, `forgets-before-probe`, `forgets-after-lost-probe`: a hop drops idle connections before a probe is through.
 * - `detection-too-fast`, `detection-too-slow`, `few-probes`, `in-flight-unbounded`, `slow-reader`, `profile`: when deaths are noticed, and at what price.
 * - `probes-not-counted`, `proxy-behind`, `hop-uncertain`: what a hop is like.
 * - `sender-outlasts-receiver`, `raise-hop`, `server-refuses-opened-early`, `no-reuse`: HTTP connections between two requests.
 * - `not-read`: nothing could be read, and so nothing was judged.
 */
export interface Finding {
  /** How bad it is. */
  readonly severity: Severity
  /** What kind it is. Stable. */
  readonly code:
    | 'detection-too-fast'
    | 'detection-too-slow'
    | 'few-probes'
    | 'forgets-before-probe'
    | 'forgets-after-lost-probe'
    | 'hop-uncertain'
    | 'in-flight-unbounded'
    | 'keepalive-off'
    | 'no-reuse'
    | 'not-read'
    | 'profile'
    | 'probes-not-counted'
    | 'proxy-behind'
    | 'raise-hop'
    | 'sender-outlasts-receiver'
    | 'server-refuses-opened-early'
    | 'slow-reader'
  /** The hop that it is about. */
  readonly hop?: string
  /** What is, and what comes of it. */
  readonly message: string
  /** What mends it. */
  readonly change?: string
}

/** `error`: connections will hang, break or be refused. `warning`: they may. `note`: information only. */
export type Severity = 'error' | 'warning' | 'note'

/**
 * A problem or an unexpected behaviour of a path, or of the settings for it. Match `code`: it is stable.
 *
 * - `keepalive-off`, `forgets-before-probe`, `forgets-after-lost-probe`: a hop drops idle connections before a probe passes it.
 * - `detection-too-fast`, `detection-too-slow`, `few-probes`, `in-flight-unbounded`, `slow-reader`, `profile`: how long it takes to detect a dead peer, and the side effects.
 * - `keepalive-on-deaf-path`: keepalive is on, and the path passes data but not all probes, so keepalive ends connections to live peers.
 * - `probes-not-answered`, `probes-not-counted`, `proxy-behind`, `hop-uncertain`: properties of a hop.
 * - `sender-outlasts-receiver`, `raise-hop`, `server-refuses-opened-early`, `no-reuse`: HTTP connections between two requests.
 * - `not-read`: nothing could be read, so nothing was checked.
 */
export interface Finding {
  /** The severity. */
  readonly severity: Severity
  /** The kind of finding. Stable. */
  readonly code:
    | 'detection-too-fast'
    | 'detection-too-slow'
    | 'few-probes'
    | 'forgets-before-probe'
    | 'forgets-after-lost-probe'
    | 'hop-uncertain'
    | 'in-flight-unbounded'
    | 'keepalive-off'
    | 'keepalive-on-deaf-path'
    | 'no-reuse'
    | 'not-read'
    | 'profile'
    | 'probes-not-answered'
    | 'probes-not-counted'
    | 'proxy-behind'
    | 'raise-hop'
    | 'sender-outlasts-receiver'
    | 'server-refuses-opened-early'
    | 'slow-reader'
  /** The hop that the finding is about. */
  readonly hop?: string
  /** The problem and its consequence. */
  readonly message: string
  /** The fix, or a workaround. */
  readonly change: string
}

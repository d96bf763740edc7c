/** Where a number comes from. */
export interface Source {
  /** What the document is called. */
  readonly title: string
  /** Where it is. */
  readonly url: string
  /** When it was published or last changed, where it says so; else when it was read. Year, or year and month. */
  readonly date: string
}

/**
 * How sure a row is. `documented`: its maker says so. `reported`: others do. `uncertain`: sources contradict each other, or it
 * differs from one device to the next, and the number is the cautious end.
 */
export type Certainty = 'documented' | 'reported' | 'uncertain'

/**
 * What becomes of a connection whose time is up. `silent`: it is forgotten, and nobody is told. `reset`: a RST. `close`: a
 * FIN. `nothing`: it is never given up.
 */
export type OnExpiry = 'silent' | 'reset' | 'close' | 'nothing'

/** How long a hop keeps an idle connection, and what can be set. */
export interface IdleTimeout {
  /** ms; `Infinity`: for ever. */
  readonly idleTimeout: number
  /** What it can be set to, in ms. Left out: nothing, it is fixed. */
  readonly range?: readonly [min: number, max: number]
  /** What that setting is called there. */
  readonly setting?: string
}

/** What stands between the two ends of a connection, and forgets or closes it when it is idle. */
export interface Hop extends IdleTimeout {
  /** That of the catalogue, or what you call it. */
  readonly name: string
  /** What it is, in words. */
  readonly title: string
  /** 4 sees packets or bytes; 7 understands requests. */
  readonly layer: 4 | 7
  /** What it understands, at layer 7. */
  readonly protocol?: 'http' | 'postgresql'
  /** Towards the server, where that is set apart from the client's side. */
  readonly upstream?: IdleTimeout
  /** What becomes of a connection whose time is up. */
  readonly onExpiry: OnExpiry
  /** Whether the connection ends here and another goes on: a keepalive probe is answered by this hop then. */
  readonly endsTcp: boolean
  /** Whether a TCP keepalive probe counts as activity. */
  readonly probesCount: boolean
  /** What else there is to know. */
  readonly note?: string
  /** Of a hop of the catalogue; one of your own is as you say. */
  readonly certainty?: Certainty
  /** Where the number comes from. */
  readonly source?: Source
}

/** A hop of one's own, or one of the catalogue that is set otherwise. */
export interface OwnHop {
  /** That of the catalogue's row which this is, or any other. */
  readonly name: string
  /** How long it keeps an idle connection, ms; `Infinity`: for ever. */
  readonly idleTimeout: number
  /** The same towards the server. Default: as `idleTimeout`; of a hop of the catalogue: as it is there. */
  readonly upstreamTimeout?: number
  /** Default 4. 7 is an HTTP load balancer or proxy. Of a hop of the catalogue: as it is there. */
  readonly layer?: 4 | 7
}

/** The document that a number comes from. */
export interface Source {
  /** Its title. */
  readonly title: string
  /** Its URL. */
  readonly url: string
  /** When it was published or last changed: year, or year and month. If the document has no date: when it was read. */
  readonly date: string
}

/**
 * How reliable an idle timeout is. `documented`: the vendor documents it. `reported`: others report it. `uncertain`: sources contradict each
 * other, or devices differ; `note` has the other values.
 */
export type Certainty = 'documented' | 'reported' | 'uncertain'

/**
 * What a hop does when the idle timeout of a connection expires. `silent`: it drops the connection and sends nothing. `reset`: it sends a
 * RST. `close`: it sends a FIN. `nothing`: it has no idle timeout.
 */
export type OnExpiry = 'silent' | 'reset' | 'close' | 'nothing'

/**
 * Whether keepalive probes through a hop are acknowledged. The hop passes data in any case. `yes`: all are. `no`: never. `unreliable`: some are, such as the first
 * ones of an idle connection. On `no` and `unreliable`, keepalive ends connections to live peers.
 */
export type AnswersProbes = 'yes' | 'no' | 'unreliable'

/** The document that {@link Hop.answersProbes} comes from. */
export interface ProbeSource extends Source {
  /**
   * How reliable it is. `documented`: the vendor's documentation or the source code says so. `reported`: others have measured it. `uncertain`: no
   * source speaks of this hop, and the value follows from RFC 9293 and from whether the hop terminates TCP.
   */
  readonly certainty: Certainty
  /** Versions or directions that differ. */
  readonly note?: string
}

/** How long a hop keeps an idle connection, and whether that can be configured. */
export interface IdleTimeout {
  /** In ms. `Infinity`: forever. */
  readonly idleTimeout: number
  /** The range of the setting, in ms. Left out: the timeout is fixed. */
  readonly range?: readonly [min: number, max: number]
  /** The hop's name for the setting. */
  readonly setting?: string
}

/** A device or service between the two ends of a connection that drops or closes it when it is idle. */
export interface Hop extends IdleTimeout {
  /** Its name in the catalogue, or a name of your own. */
  readonly name: string
  /** A description. */
  readonly title: string
  /** 4: it forwards packets or bytes. 7: it understands requests. */
  readonly layer: 4 | 7
  /** The protocol, at layer 7. */
  readonly protocol?: 'http' | 'postgresql'
  /** The timeout towards the server, if it has its own setting. */
  readonly upstream?: IdleTimeout
  /** What it does when the timeout expires. */
  readonly onExpiry: OnExpiry
  /** Whether it terminates TCP and opens a second connection. Then keepalive probes reach this hop, not the host behind it. */
  readonly endsTcp: boolean
  /** Whether a TCP keepalive probe counts as activity. */
  readonly probesCount: boolean
  /** Whether keepalive probes are acknowledged, by the hop if it terminates TCP, otherwise through it. */
  readonly answersProbes: AnswersProbes
  /** The source of `answersProbes`. Only hops of the catalogue have it. */
  readonly probeSource?: ProbeSource
  /** An exception or a detail. */
  readonly note?: string
  /** How reliable the idle timeout is. Only hops of the catalogue have it. */
  readonly certainty?: Certainty
  /** The source of the number. */
  readonly source?: Source
}

/** A hop of your own, or a hop of the catalogue with other settings. */
export interface OwnHop {
  /** The name of a hop in the catalogue, or any other name. */
  readonly name: string
  /** How long it keeps an idle connection, in ms. `Infinity`: forever. */
  readonly idleTimeout: number
  /** How long it keeps an idle connection to the server, in ms. Default: `idleTimeout`, or the catalogue's value. */
  readonly upstreamTimeout?: number
  /** 7: an HTTP load balancer or proxy. Default: 4, or the catalogue's value. */
  readonly layer?: 4 | 7
  /** Whether keepalive probes are acknowledged while data passes. Default: `yes`, or the catalogue's value. */
  readonly answersProbes?: AnswersProbes
}

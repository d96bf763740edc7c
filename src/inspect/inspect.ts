import { inspect as format, type InspectOptions } from 'node:util'
import { BorrowedSocket } from '../connection/borrowed.js'
import type { PathState } from '../connection/destinations.js'
import { ConnectionPath, showsAnsweredProbe } from '../connection/path.js'
import { pathOf } from '../connection/record.js'
import { checkTarget, handleOf, socketOf, type Target, withDescriptor } from '../connection/target.js'
import { type NativeCore, nativeCore } from '../kernel/binding.js'
import { equalsDefault, readDefaultsOf, type SystemDefaults } from '../kernel/defaults.js'
import { networkOf } from '../kernel/network-namespace.js'
import { allowShortTimeout, type OptionName } from '../kernel/socket-options.js'
import { readTcpInfo, type TcpInfo } from '../kernel/tcp-info.js'
import { readProfiles } from '../overlay/own-options.js'
import { noteSource, type Profile } from '../profile/profile.js'
import { type Judgement, judge, type Verdict } from './verdict.js'

/** The kernel's options and counters of one connection. `console.log` shows the verdict first, and {@link TcpInfo} on one line. */
export class Inspection {
  /**
   * The connection's own options, whether its owner has set them or they are the system's defaults. They differ from {@link Inspection.inForce} while {@link tune} waits for the peer, during
   * a {@link probe}, and while the kernel sends a heartbeat's probes. Options that this kernel or socket does not have are left out.
   */
  declare readonly profile: Profile
  /** The options that the socket has, read back from the kernel. */
  declare readonly inForce: Profile
  /** The kernel's counters; `undefined` without the native core. */
  declare readonly info: TcpInfo | undefined
  /** The verdict on those counters; `undefined` without the native core. */
  declare readonly verdict: Verdict | undefined
  /** The reason for the verdict, in words. */
  declare readonly evidence: string
  /**
   * The fields of `profile` that are not in force yet. They come into force when the peer is heard, the probe is over, or the heartbeat ends.
   */
  declare readonly pending?: Profile

  /**
   * Whether the path answers keepalive probes; `undefined` without the native core.
   *
   * - `answers`: this connection has acknowledged a probe, or both ends are on this host.
   * - `deaf`: it passes data and no probes. Keepalive ends such a connection although its peer is alive.
   * - `unproven`: neither is known.
   *
   * For a descriptor and for a borrowed socket the counters show it only after the connection's own keepalive was answered. If an outgoing connection
   * of this process has shown neither, `path` is what others to the same address and port have shown within the last hour.
   */
  declare readonly path: PathState | undefined

  readonly #readDefaults: () => SystemDefaults | undefined

  /** @internal */
  constructor(
    read: Omit<Inspection, 'equalsDefault' | 'defaults' | typeof format.custom>,
    readDefaults: () => SystemDefaults | undefined,
  ) {
    Object.assign(this, read)
    // Without pending options `inForce` equals `profile`, so console.log leaves it out.
    if (read.pending === undefined) Object.defineProperty(this, 'inForce', { enumerable: false })
    this.#readDefaults = readDefaults
  }

  /**
   * The sysctls that apply to the connection in addition to its options, such as `retries2` (`tcp_retries2`). They are those of the
   * connection's network namespace, in the form of `readDefaults()` of `deadpeer/host`. Each access to this property reads them.
   *
   * `undefined` if they cannot be read:
   *
   * - The connection is in another namespace than the calling thread (a borrowed socket of a container, an inherited descriptor), and this
   *   process lacks CAP_SYS_ADMIN or CAP_NET_ADMIN over it, or the connection has been closed.
   * - A sandbox hides /proc.
   * - There is no native core.
   *
   * Before Linux 5.14 the kernel does not report a socket's namespace, so the calling thread's is used.
   *
   * @example
   * ```ts
   * const { profile, defaults, info } = inspect(socket)
   * detectionTime({ ...profile, userTimeout: 0 }, { defaults, rtt: info.rtt / 1_000 }).inFlight
   * ```
   */
  get defaults(): SystemDefaults | undefined {
    return this.#readDefaults()
  }

  /**
   * The options of `profile` whose value equals the system's default. The kernel does not report whether an option follows the default or
   * was set to the same value. Each access to this property reads `defaults`. If these cannot be read, the list has only options that no
   * sysctl governs: `enable`, `userTimeout`, `failOnIcmp`.
   */
  get equalsDefault(): readonly OptionName[] {
    return this.info === undefined ? [] : equalsDefault(this.profile, this.defaults ?? {})
  }

  /** What `console.log` shows: each group of options on one line. */
  [format.custom](_depth: number, options: InspectOptions, print: typeof format): string {
    const inOneLine = { ...options, compact: true, breakLength: Number.POSITIVE_INFINITY }
    const lines = Object.entries(this).map(([name, value]) => {
      const isGroup = typeof value === 'object' && name !== 'info'
      return [name, isGroup ? { [format.custom]: () => print(value, inOneLine) } : value]
    })
    return `Inspection ${print(Object.fromEntries(lines), options)}`
  }
}

const unread = new Inspection(
  {
    profile: Object.freeze({}),
    inForce: Object.freeze({}),
    info: undefined,
    verdict: undefined,
    evidence: 'not read: the native core is not available',
    path: undefined,
  },
  () => undefined,
)
Object.freeze(unread)

/**
 * Reads a connection's options and counters back from the kernel. Changes nothing. `SO_ERROR` is not read, because reading it clears
 * the error that Node would report.
 *
 * @throws {@link InvalidTypeError} if the target is not a connection; {@link DeadpeerError} `ERR_SOCKET_CLOSED`, `ERR_NOT_TCP`.
 * @example
 * ```ts
 * const { profile, verdict, evidence } = inspect(socket)
 * console.log(profile.userTimeout, verdict, evidence) // 60000 'alive' 'heard 1.2 s ago'
 * ```
 */
export function inspect(target: Target): Inspection {
  const core = nativeCore()
  if (!core) {
    checkTarget(target)
    return unread
  }
  return withDescriptor(target, (fd) => inspectDescriptor(core, target, fd))
}

function inspectDescriptor(core: NativeCore, target: Target, fd: number): Inspection {
  const { own: profile, inForce, pending } = readProfiles(core, fd)
  const info = readTcpInfo(core, fd)
  const network = networkOf(core, fd)
  const judgement: Judgement = judge(info)
  allowShortTimeout(profile)
  if (pending) allowShortTimeout(pending)
  const readDefaults = () => readDefaultsOf(core, network, (read) => withDescriptor(target, read))
  noteSource(profile, readDefaults)
  return new Inspection(
    // In the order in which console.log shows them.
    {
      ...judgement,
      profile,
      inForce,
      ...(pending && { pending }),
      path: pathStateOf(core, target, fd, info, inForce),
      info,
    },
    readDefaults,
  )
}

function pathStateOf(
  core: NativeCore,
  target: Target,
  fd: number,
  info: TcpInfo,
  inForce: Profile,
): PathState {
  const { state, unacked, lastAckRecv, lastDataRecv, lastDataSent } = info
  const heardAt = -Math.min(lastAckRecv, lastDataRecv)
  const dataAt = -Math.min(lastDataSent, lastDataRecv)
  const isBorrowed = typeof target === 'number' || target instanceof BorrowedSocket
  const handle = isBorrowed ? undefined : handleOf(socketOf(target))
  const known = (handle ? pathOf(handle) : new ConnectionPath(false)).state(core, fd)
  if (known !== 'unproven') return known
  return showsAnsweredProbe({ state, unacked, heardAt, dataAt }, inForce) ? 'answers' : 'unproven'
}

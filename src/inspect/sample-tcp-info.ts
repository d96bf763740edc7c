import net from 'node:net'
import { BorrowedSocket } from '../connection/borrowed.js'
import { descriptorOf, isDescriptor, socketNow, type Target, targetsOf } from '../connection/target.js'
import { DeadpeerError, InvalidTypeError, OutOfRangeError } from '../errors.js'
import { type NativeCore, requireCore } from '../kernel/binding.js'
import { encodePlace, ownLayout, type TcpInfoField } from '../kernel/tcp-info.js'
import { describe, mustBe } from '../options/check.js'
import { nearestOnly } from '../options/nearest.js'

const none = new Int32Array(0)

/**
 * A buffer for descriptors, kept between calls so that sampling does not allocate per socket. Each call takes the buffer out of this variable,
 * because a target's `socket` getter may sample too.
 */
let spare: Int32Array = none

function takeBuffer(count: number): Int32Array {
  const buffer = spare.length >= count ? spare : new Int32Array(Math.max(64, count * 2))
  spare = none
  return buffer
}

/**
 * Reads chosen counters of many connections in one native call. Row-major: `out[i * fields.length + j]` is field
 * `j` of target `i`. NaN if there is no value. The target may be closed, not connected yet, not a TCP connection, or not readable; or this kernel
 * does not have the field.
 *
 * @param targets an array is read in place, without a copy.
 * @param out receives the values; at least `targets.length * fields.length` long. Default: a new array. Pass
 * the same array each time to avoid allocation.
 * @returns `out`
 * @throws {@link InvalidTypeError} for an unknown field of {@link TcpInfo}; {@link OutOfRangeError} if `out` is too short, or `fields`
 * has more than 128 names; {@link DeadpeerError} `ERR_UNSUPPORTED_PLATFORM` without the native core. Never for a bad target.
 * @example
 * ```ts
 * const [probes, lastAckRecv] = sampleTcpInfo([socket], ['probes', 'lastAckRecv'])
 * ```
 */
export function sampleTcpInfo(
  targets: Iterable<Target>,
  fields: readonly TcpInfoField[],
  out?: Float64Array,
): Float64Array {
  const core = requireCore('sampleTcpInfo')
  const list: readonly Target[] = Array.isArray(targets) ? targets : targetsOf(targets, 'inspect')
  const places = placesOf(fields)
  const count = list.length
  const width = fields.length
  const values = count * width
  const rows = out ?? new Float64Array(values)
  if (!(rows instanceof Float64Array)) {
    throw new InvalidTypeError(mustBe('out', 'a Float64Array', describe(rows)), { field: 'out' })
  }
  if (rows.length < values) {
    const wanted = `at least ${values} long (${count} targets × ${width} fields)`
    const message = mustBe('out', wanted, `a Float64Array of length ${rows.length}`)
    throw new OutOfRangeError(message, { field: 'out' })
  }
  const descriptors = takeBuffer(count)
  const borrowed: number[] = []
  for (let i = 0; i < count; i++) {
    const target = list[i]!
    descriptors[i] = descriptorNow(target)
    if (descriptors[i] === BORROWED) borrowed.push(i)
  }
  core.sampleTcpInfo(descriptors, count, places, rows)
  spare = descriptors
  for (const i of borrowed) {
    const row = rows.subarray(i * width, (i + 1) * width)
    sampleBorrowed(core, list[i] as BorrowedSocket, places, row)
  }
  return rows
}

/** Borrowed sockets are sampled one at a time, because each is held for one call. If it cannot be borrowed, its row stays NaN. */
function sampleBorrowed(
  core: NativeCore,
  target: BorrowedSocket,
  places: Uint32Array,
  row: Float64Array,
): void {
  try {
    target.use((fd) => core.sampleTcpInfo(Int32Array.of(fd), 1, places, row))
  } catch (error) {
    if (!(error instanceof DeadpeerError)) throw error
  }
}

/** Stands for the descriptor of a borrowed socket. */
const BORROWED = -2

/** A target's descriptor, or -1 if it has none. The kernel treats -1 as a closed descriptor. */
function descriptorNow(target: Target): number {
  try {
    if (target instanceof net.Socket) return descriptorOf(target)
    if (typeof target === 'number') return isDescriptor(target) ? target : -1
    if (target instanceof BorrowedSocket) return BORROWED
    const socket = socketNow(target)
    return socket ? descriptorOf(socket) : -1
  } catch {
    // A getter of the target, or a proxy, threw.
    return -1
  }
}

/** Twice the number of fields of tcp_info. */
const MOST_FIELDS = 128

const encoded = new WeakMap<readonly TcpInfoField[], Uint32Array>()

/** Where the fields are in tcp_info. A frozen list is encoded once. */
function placesOf(fields: readonly TcpInfoField[]): Uint32Array {
  if (!Array.isArray(fields)) {
    const wanted = "an array of TcpInfo field names such as ['probes', 'rtt']"
    throw new InvalidTypeError(mustBe('fields', wanted, describe(fields)), { field: 'fields' })
  }
  const known = encoded.get(fields)
  if (known) return known
  const layout = ownLayout()
  const places = new Uint32Array(fields.length * 2)
  if (fields.length > MOST_FIELDS) {
    const message = mustBe('fields', `an array of at most ${MOST_FIELDS} names`, `${fields.length} names`)
    throw new OutOfRangeError(message, { field: 'fields' })
  }
  Array.from(fields as readonly TcpInfoField[]).forEach((field, i) => {
    if (!Object.hasOwn(layout, field)) {
      const names = Object.keys(layout)
      const meant = typeof field === 'string' ? nearestOnly(field, names) : []
      const hint =
        meant.length > 0 ? `Did you mean ${meant.join(' or ')}?` : `The fields are: ${names.join(', ')}.`
      const message = `Unknown tcp_info field \`${String(field)}\`. ${hint}`
      throw new InvalidTypeError(message, { field: 'fields' })
    }
    places.set(encodePlace(layout[field]), i * 2)
  })
  if (Object.isFrozen(fields)) encoded.set(fields, places)
  return places
}

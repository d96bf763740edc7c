import net from 'node:net'
import { BorrowedSocket } from '../connection/borrowed.js'
import { descriptorOf, isDescriptor, socketNow, type Target, targetsOf } from '../connection/target.js'
import { DeadpeerError, InvalidTypeError, OutOfRangeError } from '../errors.js'
import { type NativeCore, requireCore } from '../kernel/binding.js'
import { encodePlace, ownLayout, type TcpInfoField } from '../kernel/tcp-info.js'
import { nearestOnly } from '../options/nearest.js'

const none = new Int32Array(0)

/**
 * A buffer for descriptors, kept between calls so that sampling does not allocate per socket. A call takes it away: a `socket` getter of
 * a target may sample as well.
 */
let spare: Int32Array = none

function takeBuffer(count: number): Int32Array {
  const buffer = spare.length >= count ? spare : new Int32Array(Math.max(64, count * 2))
  spare = none
  return buffer
}

/**
 * Reads chosen counters of many connections in one native call. Row-major: `out[i * fields.length + j]` is field
 * `j` of target `i`. NaN if there is no value: the target is closed, is not connected yet, is not a TCP connection,
 * may not be borrowed, or this kernel does not have the field.
 *
 * @param targets an array is read without a copy of it.
 * @param out receives the values; at least `targets.length * fields.length` long. Default: a new array. Pass
 * the same array each time to avoid allocation.
 * @returns `out`
 * @throws {@link InvalidTypeError} for an unknown field of {@link TcpInfo}; {@link OutOfRangeError} if `out` is too short, or `fields`
 * longer than 128; {@link DeadpeerError} `ERR_UNSUPPORTED_PLATFORM` without the native core. Never for a bad target.
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
    throw new InvalidTypeError('out must be a Float64Array.', { field: 'out' })
  }
  if (rows.length < values) {
    const message = `out has room for ${rows.length} values; ${values} are needed.`
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

/** One at a time, since a borrowed socket is held for one call. If it cannot be borrowed, its row stays NaN. */
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

/** In place of the descriptor of a borrowed socket. */
const BORROWED = -2

/** -1 if there is none: to the kernel that is a closed descriptor. */
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

/** A frozen list of fields is encoded once. */
function placesOf(fields: readonly TcpInfoField[]): Uint32Array {
  if (!Array.isArray(fields)) {
    throw new InvalidTypeError('fields must be an array of names of tcp_info.', { field: 'fields' })
  }
  const known = encoded.get(fields)
  if (known) return known
  const layout = ownLayout()
  const places = new Uint32Array(fields.length * 2)
  if (fields.length > MOST_FIELDS) {
    const message = `fields has ${fields.length} names; ${MOST_FIELDS} are the most.`
    throw new OutOfRangeError(message, { field: 'fields' })
  }
  Array.from(fields as readonly TcpInfoField[]).forEach((field, i) => {
    if (!Object.hasOwn(layout, field)) {
      const names = Object.keys(layout)
      const meant = typeof field === 'string' ? nearestOnly(field, names) : []
      const hint =
        meant.length > 0 ? `Did you mean ${meant.join(' or ')}?` : `There are: ${names.join(', ')}.`
      const message = `Unknown tcp_info field \`${String(field)}\`. ${hint}`
      throw new InvalidTypeError(message, { field: 'fields' })
    }
    places.set(encodePlace(layout[field]), i * 2)
  })
  if (Object.isFrozen(fields)) encoded.set(fields, places)
  return places
}

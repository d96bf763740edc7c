import net from 'node:net'
import { BorrowedSocket } from '../connection/borrowed.js'
import { descriptorOf, isDescriptor, socketNow, type Target } from '../connection/target.js'
import { DeadpeerError, InvalidTypeError, OutOfRangeError } from '../errors.js'
import { type NativeCore, requireCore } from '../kernel/binding.js'
import { encodePlace, ownLayout, type TcpInfoField } from '../kernel/tcp-info.js'

const none = new Int32Array(0)

/**
 * Room for descriptors, kept from one call to the next so that sampling allocates nothing a socket. A call has it to itself: it may
 * run code of others, a `socket` getter, which samples as well.
 */
let spare: Int32Array = none

function takeRoom(count: number): Int32Array {
  const room = spare.length >= count ? spare : new Int32Array(Math.max(64, count * 2))
  spare = none
  return room
}

/**
 * Reads chosen counters of many connections in one native call. Row-major: `out[i * fields.length + j]` is field
 * `j` of target `i`. NaN where there is no value: the target is closed, is not connected yet, is no TCP socket or no connection at all,
 * may not be borrowed, or this kernel does not have the field.
 *
 * @param out where to put them; at least `targets.length * fields.length` long. Made anew where it is left out. Pass
 * the same one each time, and nothing is allocated a socket.
 * @returns `out`
 * @throws {@link InvalidTypeError} for an unknown field of {@link TcpInfo}; {@link OutOfRangeError} if `out` is too short, or `fields`
 * longer than 128; {@link DeadpeerError} `ERR_UNSUPPORTED_PLATFORM` without the native core. Never for a bad target.
 * @example
 * ```ts
 * const [probes, lastAckRecv] = sampleTcpInfo([socket], ['probes', 'lastAckRecv'])
 * ```
 */
export function sampleTcpInfo(
  targets: readonly Target[],
  fields: readonly TcpInfoField[],
  out?: Float64Array,
): Float64Array {
  const core = requireCore('sampleTcpInfo')
  if (!Array.isArray(targets)) {
    throw new InvalidTypeError('targets must be an array of connections.', { field: 'targets' })
  }
  const places = placesOf(fields)
  const count = targets.length
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
  const descriptors = takeRoom(count)
  const borrowed: number[] = []
  for (let i = 0; i < count; i++) {
    const target = targets[i]!
    descriptors[i] = descriptorNow(target)
    if (descriptors[i] === -1 && target instanceof BorrowedSocket) borrowed.push(i)
  }
  core.sampleTcpInfo(descriptors, count, places, rows)
  spare = descriptors
  for (const i of borrowed) {
    const row = rows.subarray(i * width, (i + 1) * width)
    sampleBorrowed(core, targets[i] as BorrowedSocket, places, row)
  }
  return rows
}

/** One at a time, as each is held for one call. One that cannot be borrowed (any more) keeps the NaN that it has. */
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

/** -1 where there is none, which the kernel answers like any closed descriptor. */
function descriptorNow(target: Target): number {
  if (target instanceof net.Socket) return descriptorOf(target)
  if (typeof target === 'number') return isDescriptor(target) ? target : -1
  if (target instanceof BorrowedSocket) return -1
  try {
    const socket = socketNow(target)
    return socket ? descriptorOf(socket) : -1
  } catch {
    // A getter of the target threw.
    return -1
  }
}

/** Twice as many as there are. */
const MOST_FIELDS = 128

const encoded = new WeakMap<readonly TcpInfoField[], Uint32Array>()

/** Encoded once for a list of fields that is passed again and again, and cannot change. */
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
      throw new InvalidTypeError(
        `${String(field)} is no field of tcp_info. There are: ${Object.keys(layout).join(', ')}.`,
        {
          field: 'fields',
        },
      )
    }
    places.set(encodePlace(layout[field]), i * 2)
  })
  if (Object.isFrozen(fields)) encoded.set(fields, places)
  return places
}

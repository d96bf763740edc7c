import net from 'node:net'
import { DeadpeerError, InvalidTypeError, OutOfRangeError } from './errors.js'
import { missingReason, nativeCore } from './kernel/binding.js'
import { encodePlace, ownLayout, type TcpInfoField } from './kernel/tcp-info.js'
import { BorrowedSocket } from './socket/borrowed.js'
import { checkDescriptor, descriptorOf, socketOf, type Target } from './socket/target.js'

/** Descriptors of the last call, kept so that sampling allocates nothing a socket. */
let descriptors = new Int32Array(64)

/**
 * Reads chosen counters of many connections in one native call. Row-major: `out[i * fields.length + j]` is field
 * `j` of target `i`. NaN where there is no value: the socket is closed, is no TCP socket, or this kernel does not have
 * the field.
 *
 * @param out where to put them; at least `targets.length * fields.length` long. Made anew where it is left out. Pass
 * the same one each time, and nothing is allocated a socket.
 * @returns `out`
 * @throws {@link InvalidTypeError} for what is no target, or no field of {@link TcpInfo}; {@link OutOfRangeError} where
 * `out` is too short; {@link DeadpeerError} `ERR_UNSUPPORTED_PLATFORM` without the native core.
 * @example
 * ```ts
 * const [probes, lastAckRecv] = sampleTcpInfo([socket], ['probes', 'lastAckRecv'])
 * ```
 */
export function sampleTcpInfo(
  targets: readonly Target[],
  fields: readonly TcpInfoField[],
  out: Float64Array = new Float64Array(targets.length * fields.length),
): Float64Array {
  const core = nativeCore()
  if (!core) {
    throw new DeadpeerError('ERR_UNSUPPORTED_PLATFORM', `Counters need the native core: ${missingReason()}.`)
  }
  const places = placesOf(fields)
  const values = targets.length * fields.length
  if (!(out instanceof Float64Array))
    throw new InvalidTypeError('out must be a Float64Array.', { field: 'out' })
  if (out.length < values) {
    throw new OutOfRangeError(`out has room for ${out.length} values; ${values} are needed.`, {
      field: 'out',
    })
  }
  if (descriptors.length < targets.length) descriptors = new Int32Array(targets.length * 2)
  const borrowed: number[] = []
  for (let i = 0; i < targets.length; i++) {
    const target = targets[i]!
    descriptors[i] = descriptorNow(target)
    if (descriptors[i] === -1 && target instanceof BorrowedSocket) borrowed.push(i)
  }
  core.sampleTcpInfo(descriptors, targets.length, places, out)
  // One at a time, as each is held for one call.
  for (const i of borrowed) {
    const row = out.subarray(i * fields.length, (i + 1) * fields.length)
    ;(targets[i] as BorrowedSocket).use((fd) => core.sampleTcpInfo(Int32Array.of(fd), 1, places, row))
  }
  return out
}

/** -1 where there is none, which the kernel answers like any closed descriptor. */
function descriptorNow(target: Target): number {
  if (target instanceof net.Socket) return descriptorOf(target)
  if (target instanceof BorrowedSocket) return -1
  return typeof target === 'number' ? checkDescriptor(target) : descriptorOf(socketOf(target))
}

const encoded = new WeakMap<readonly TcpInfoField[], Uint32Array>()

/** Encoded once for a list of fields that is passed again and again, and cannot change. */
function placesOf(fields: readonly TcpInfoField[]): Uint32Array {
  const known = encoded.get(fields)
  if (known) return known
  const layout = ownLayout()
  const places = new Uint32Array(fields.length * 2)
  fields.forEach((field, i) => {
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
